// The host scripts of basefs/kubernetes on real hosts, without the installer: a cluster is made by hand with kubeadm, every image from the
// registry on the first host, and taken away again without a trace. Needs root, and the packages of test/lab/packages.sh.
import { execFile, spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../support/until.js';

const exec = promisify(execFile);
const LAB = join(import.meta.dirname, '../lab');
const KEY = join(process.env.SLIPWAY_LAB ?? '/var/tmp/slipway-lab', 'key');
const MASTER = { name: 'basefs-m1', ip: '10.99.0.40' };
const WORKER = { name: 'basefs-n1', ip: '10.99.0.41' };
const ROOTFS = '/var/lib/slipway/data/basefs/rootfs';
const INIT = `cd ${ROOTFS}/scripts && bash init.sh /var/lib/containerd sea.hub 5000`;
const CLEAN = `cd ${ROOTFS}/scripts && bash clean.sh`;

type LabHost = typeof MASTER;

let place: string;
const before = new Map<string, string>();

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'slipway-basefs-'));
  await exec(join(LAB, 'kubernetes.sh'));
  await exec(join(LAB, 'lab.sh'), ['setup']);
  for (const { name, ip } of [MASTER, WORKER]) await exec(join(LAB, 'lab.sh'), ['up', name, ip]);
  for (const host of [MASTER, WORKER]) before.set(host.name, await snapshot(host));
  await assembleRootfs();
  await makeCertificates();
  for (const host of [MASTER, WORKER]) {
    // the registry's images go to the host that serves them, and to no other
    const without = host === MASTER ? [] : ['--exclude=./registry', '--exclude=./certs'];
    await send(host, ROOTFS, ['-C', join(place, 'rootfs'), ...without, '.']);
  }
});

afterAll(async () => {
  for (const { name } of [MASTER, WORKER]) await exec(join(LAB, 'lab.sh'), ['down', name]);
  await rm(place, { recursive: true });
});

describe.sequential('the host scripts of basefs/kubernetes', () => {
  it('leave a host as it was, wherever init.sh is killed', async () => {
    for (const seconds of [0.1, 0.4, 0.8, 1.2, 2]) {
      await on(
        WORKER,
        `(${INIT}) >/dev/null 2>&1 & pid=$!; sleep ${seconds}; kill -9 -- -$pid; wait`,
        'setsid -w bash -m -s',
      );
      await on(WORKER, CLEAN);
      expect(await snapshot(WORKER), `killed after ${seconds} s`).toBe(before.get(WORKER.name));
    }
  });

  it("keep a host's own containerd and bring it back", async () => {
    const own = [
      'usr/bin/containerd',
      'usr/bin/containerd-shim-runc-v2',
      'usr/bin/ctr',
      'lib/systemd/system/containerd.service',
    ];
    await send(WORKER, '/', ['--dereference', '-C', '/', ...own]);
    // another build than the one that comes
    await on(
      WORKER,
      "printf '\\0' >>/usr/bin/containerd && chmod 711 /usr/bin/containerd && systemctl daemon-reload && systemctl enable -q --now containerd",
    );
    await on(WORKER, "mkdir -p /etc/containerd && echo 'version = 2' >/etc/containerd/config.toml");
    const withOwn = await snapshot(WORKER);
    const { stdout } = await on(WORKER, INIT);
    expect(stdout).toContain("/usr/bin/containerd: the host's own file is replaced");
    expect(await snapshot(WORKER)).not.toBe(withOwn);
    await on(WORKER, CLEAN);
    expect(await snapshot(WORKER)).toBe(withOwn);
    expect((await on(WORKER, 'systemctl is-active containerd')).stdout).toBe('active\n');

    await on(
      WORKER,
      `systemctl disable -q --now containerd; rm -rf ${own.map((path) => `/${path}`).join(' ')} /etc/containerd /etc/cni /var/lib/containerd /run/containerd /opt/containerd`,
    );
    await on(WORKER, 'systemctl daemon-reload');
  });

  it('make hosts ready, and the second time change nothing and restart nothing', async () => {
    for (const host of [MASTER, WORKER]) {
      expect((await on(host, INIT)).stdout).toContain('this host is ready');
      const started =
        'systemctl show -p ExecMainStartTimestampMonotonic containerd; cat /var/lib/slipway/host/kubernetes';
      const first = (await on(host, started)).stdout;
      expect((await on(host, INIT)).stdout).toContain('nothing to do: this host is ready');
      expect((await on(host, started)).stdout).toBe(first);
    }
  });

  it('start the registry with a certificate and passwords, and say what is in the way', async () => {
    const start = `cd ${ROOTFS}/scripts && bash init-registry.sh`;
    const url = 'https://sea.hub:5000/v2/';
    const ask = `curl -s -o /dev/null -w '%{http_code}' --cacert ${ROOTFS}/certs/ca.crt --resolve sea.hub:5000:127.0.0.1 ${url}`;
    const { stdout } = await exec('htpasswd', ['-bnB', 'admin', 'secret']);
    await on(MASTER, `cat >${ROOTFS}/certs/registry_htpasswd <<'END'\n${stdout}END`);
    expect((await on(MASTER, `${start} 5000 ${ROOTFS}/registry sea.hub`)).stdout).toContain('https, with passwords');
    expect((await on(MASTER, ask)).stdout).toBe('401');
    expect((await on(MASTER, `${ask} -u admin:secret`)).stdout).toBe('200');

    await on(MASTER, `rm ${ROOTFS}/certs/registry_htpasswd && ${start}`);
    expect((await on(MASTER, ask)).stdout).toBe('200');
    expect((await on(MASTER, start)).stdout).toContain('nothing to do');
    await expect(on(WORKER, `${start} 22 /tmp`)).rejects.toThrow('something else listens on port 22');
    await expect(on(WORKER, `${start} 5000`)).rejects.toThrow(`${ROOTFS}/registry is not there`);
  });

  it('start the registry from a container image when the rootfs has that instead of the program', async () => {
    await send(MASTER, `${ROOTFS}/images`, ['-C', place, 'registry.tar']);
    const start = `cd ${ROOTFS}/scripts && bash init-registry.sh`;
    const ask = `curl -s --cacert ${ROOTFS}/certs/ca.crt --resolve sea.hub:5000:127.0.0.1 https://sea.hub:5000/v2/_catalog`;
    await on(MASTER, `mv ${ROOTFS}/bin/registry /tmp/registry && ${start}`);
    expect((await on(MASTER, ask)).stdout).toContain('kube-apiserver');
    expect((await on(MASTER, 'ctr -n slipway-registry containers ls -q')).stdout).toBe('slipway-registry\n');
    expect((await on(MASTER, start)).stdout).toContain('nothing to do');
    await on(MASTER, `cd ${ROOTFS}/scripts && bash clean-registry.sh`);
    expect((await on(MASTER, 'ctr namespaces ls -q')).stdout).not.toContain('slipway-registry');
    await on(MASTER, `mv /tmp/registry ${ROOTFS}/bin/registry && rm ${ROOTFS}/images/registry.tar && ${start}`);
    expect((await on(MASTER, ask)).stdout).toContain('kube-apiserver');
  });

  it('are enough for kubeadm: nodes Ready, pods and services running, every image from the registry', async () => {
    for (const host of [MASTER, WORKER]) {
      await on(host, `echo '${MASTER.ip} sea.hub apiserver.cluster.local' >>/etc/hosts`);
      await send(host, '/etc/slipway', ['-C', join(place, 'rootfs/certs'), 'ca.crt']);
      for (const registry of ['k8s.gcr.io', 'docker.io']) {
        const directory = `/etc/containerd/certs.d/${registry}`;
        await on(host, `mkdir -p ${directory} && cat >${directory}/hosts.toml <<'END'\n${hostsToml(registry)}END`);
      }
    }
    const driver = (await on(MASTER, 'cat /etc/slipway/cgroup-driver')).stdout.trim();
    await on(
      MASTER,
      `mkdir -p /etc/kubernetes && cat >/etc/kubernetes/kubeadm.yaml <<'END'\n${initConfiguration(driver)}END`,
    );
    await on(MASTER, 'kubeadm init --config /etc/kubernetes/kubeadm.yaml');
    const command = (await on(MASTER, 'kubeadm token create --print-join-command 2>/dev/null')).stdout.trim();
    await on(WORKER, `${command} --cri-socket /run/containerd/containerd.sock`);

    await kubectl('wait --for=condition=Ready node --all --timeout=120s');
    const { stdout } = await on(
      MASTER,
      `cd ${ROOTFS}/scripts && KUBECONFIG=/etc/kubernetes/admin.conf bash apply-cni.sh`,
    );
    expect(stdout).toContain('no network plugin to apply');
    await kubectl('run web --image=docker.io/library/web:1.0 --port=80');
    await kubectl('expose pod web --port=80');
    await kubectl('wait --for=condition=Ready pod --all --all-namespaces --timeout=120s');
    const address = (await kubectl("get service web -o jsonpath='{.spec.clusterIP}'")).stdout;
    expect(
      (await on(WORKER, `curl -s --retry 20 --retry-delay 1 --retry-all-errors -m 5 http://${address}/`)).stdout,
    ).toBe('Launched by Slipway\n');
    // nothing of this restarted what runs
    expect((await on(MASTER, INIT)).stdout).toContain('nothing to do');
  });

  it('take a whole cluster away without a trace', async () => {
    for (const host of [WORKER, MASTER]) {
      await on(host, "sed -i '/sea\\.hub/d' /etc/hosts; rm /etc/slipway/ca.crt");
      expect((await on(host, CLEAN)).stdout).toContain('this host is as it was');
      expect((await on(host, CLEAN)).stdout).toContain('nothing to do');
      expect(await snapshot(host)).toBe(before.get(host.name));
      expect(
        (await on(host, 'cat /proc/[0-9]*/comm | grep -E "^(kube|etcd|containerd|registry)" || true')).stdout,
      ).toBe('');
    }
  });
});

/** The merged rootfs of the image, with a registry tree that a real registry wrote. */
async function assembleRootfs(): Promise<void> {
  const context = join(place, 'context');
  const images = join(place, 'images');
  await exec(join(LAB, 'basefs/assemble.sh'), [context]);
  await exec(join(LAB, 'basefs/images.sh'), [images]);
  const arch = (await exec('dpkg', ['--print-architecture'])).stdout.trim();
  for (const part of ['rootfs', arch]) await cp(join(context, part), join(place, 'rootfs'), { recursive: true });
  await cp(join(context, 'imageList'), join(place, 'rootfs/manifests/imageList'), { recursive: true });

  const port = await freePort();
  const config = `version: 0.1\nstorage: {filesystem: {rootdirectory: ${place}/rootfs/registry}}\nhttp: {addr: "127.0.0.1:${port}"}\n`;
  await writeFile(join(place, 'registry.yml'), config);
  const registry = spawn('docker-registry', ['serve', join(place, 'registry.yml')], { stdio: 'ignore' });
  try {
    await answering(port);
    const buildah = [
      '--root',
      join(place, 'buildah'),
      '--runroot',
      join(place, 'buildah-run'),
      '--storage-driver',
      'vfs',
    ];
    const own = join(place, 'registry-image');
    await exec('bash', [
      '-c',
      `. ${LAB}/basefs/parts.sh && copy_with_libraries ${own}/rootfs /usr/bin/docker-registry`,
    ]);
    await writeFile(
      join(own, 'Kubefile'),
      'FROM scratch\nCOPY rootfs /\nENTRYPOINT ["/usr/bin/docker-registry"]\nCMD ["serve", "/etc/docker/registry/config.yml"]\n',
    );
    await exec('buildah', [
      ...buildah,
      'bud',
      '-q',
      '--isolation',
      'chroot',
      '-t',
      'registry:2',
      '-f',
      'Kubefile',
      own,
    ]);
    await exec('buildah', [...buildah, 'push', '-q', 'registry:2', `docker-archive:${place}/registry.tar:registry:2`]);
    for (const line of (await readFile(join(images, 'images.tsv'), 'utf8')).trim().split('\n')) {
      const [directory = '', reference = ''] = line.split('\t');
      const target = `127.0.0.1:${port}/${reference.slice(reference.indexOf('/') + 1)}`;
      const bud = ['bud', '-q', '--isolation', 'chroot', '-t', target, '-f', 'Kubefile', join(images, directory)];
      await exec('buildah', [...buildah, ...bud]);
      await exec('buildah', [...buildah, 'push', '-q', '--tls-verify=false', target]);
    }
  } finally {
    registry.kill();
  }
}

async function makeCertificates(): Promise<void> {
  const script = `set -e
    mkdir -p "$1" && cd "$1"
    key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
    openssl req -x509 $key -keyout ca.key -out ca.crt -days 2 -subj /CN=ca
    openssl req $key -keyout sea.hub.key -out request -subj /CN=sea.hub
    echo subjectAltName=DNS:sea.hub >extensions
    openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out sea.hub.crt -extfile extensions`;
  await exec('sh', ['-c', script, 'sh', join(place, 'rootfs/certs')]);
}

function hostsToml(registry: string): string {
  return `server = "https://${registry}"

[host."https://sea.hub:5000"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/slipway/ca.crt"
`;
}

function initConfiguration(cgroupDriver: string): string {
  return `apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: ${MASTER.ip}}
nodeRegistration: {criSocket: /run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.20.2
controlPlaneEndpoint: apiserver.cluster.local:6443
imageRepository: k8s.gcr.io
networking: {podSubnet: 100.64.0.0/10, serviceSubnet: 10.96.0.0/22}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: ${cgroupDriver}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# nf_conntrack_max belongs to the machine, not to a lab host
conntrack: {maxPerCore: 0}
`;
}

/** Everything about a host that the scripts could change, as text. What the test itself put there is left out. */
async function snapshot(host: LabHost): Promise<string> {
  const script = `cd /
    find etc usr opt var/lib root -xdev \\( -path var/lib/slipway/data -o -path var/lib/systemd -o -path root/.kube \\) -prune -o -printf '%y %m %u %p %l\\n' |
      grep -v ' var/lib/slipway ' | sort
    find etc usr opt -xdev -type f -exec sha256sum {} + | sort -k 2
    ip -o link | cut -d: -f2
    ls /run/netns 2>/dev/null || true
    iptables-save | grep '^-' || true
    systemctl list-unit-files --no-legend --type=service | sort
    cat /proc/sys/net/ipv4/ip_forward /proc/mounts | grep -v /run/user | sort`;
  return (await on(host, script)).stdout;
}

function kubectl(args: string): Promise<{ stdout: string }> {
  return on(MASTER, `kubectl --kubeconfig /etc/kubernetes/admin.conf ${args}`);
}

/** Runs a script on a host over SSH; it travels on standard input. */
async function on(host: LabHost, script: string, shell = 'bash -s'): Promise<{ stdout: string; stderr: string }> {
  const child = execFile('ssh', [...sshOptions(), `root@${host.ip}`, shell], { maxBuffer: 64 << 20 });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  child.stdin?.end(script);
  const code = await ended;
  if (code !== 0)
    throw new Error(
      `${host.name}: exit code ${code}\n${script.slice(0, 200)}\n${stdout.slice(-1000)}\n${stderr.slice(-2000)}`,
    );
  return { stdout, stderr };
}

/** Unpacks what `tar` packs with these arguments in a directory of the host. */
async function send(host: LabHost, directory: string, tarArguments: readonly string[]): Promise<void> {
  const archive = join(place, 'transfer.tar');
  await exec('tar', ['-cf', archive, ...tarArguments]);
  const unpack = `mkdir -p ${directory} && tar -xf - --no-same-owner -C ${directory}`;
  const child = spawn('ssh', [...sshOptions(), `root@${host.ip}`, unpack], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  await pipeline(createReadStream(archive), child.stdin);
  if ((await ended) !== 0) throw new Error(`${host.name}: cannot unpack in ${directory}`);
}

function sshOptions(): string[] {
  const options = ['LogLevel=ERROR', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes'];
  return ['-i', KEY, ...options.flatMap((option) => ['-o', option])];
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answering(port: number): Promise<void> {
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.destroy();
          resolve(true);
        });
        socket.on('error', () => resolve(false));
      }),
    50,
  );
}
