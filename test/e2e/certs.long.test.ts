// Certificates of a cluster: shown, extended by names, renewed, also when they have ended; and a cluster that is known again after the
// machine that launched it was lost.
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`certs: left out: ${lab.why}`);

const home = tempDirectory('slipway-certs-');
const root = join(home, 'store');
const PKI = '/etc/kubernetes/pki';
let m1: LabHost;
let n1: LabHost;
const before = new Map<string, string>();

const command = (...args: readonly string[]): string[] => [...args, '-i', m1.keyFile, '--host-key-check=off'];
const kubectl = (text: string): Promise<string> => m1.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${text}`);
const served = async (port = 6443): Promise<X509Certificate> =>
  new X509Certificate(
    await m1.run(`openssl s_client -connect ${m1.ip}:${port} </dev/null 2>/dev/null | openssl x509 -outform pem`),
  );
/** Of each part of the control plane its process, and when it began. */
const processes = async (): Promise<Record<string, string>> => {
  const lines = await m1.run(
    `for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do echo "$name $(pgrep -xf "$name .*" | tr '\\n' ' ')"; done`,
  );
  return Object.fromEntries(
    lines
      .trim()
      .split('\n')
      .map((line) => line.split(/ (.*)/).slice(0, 2)),
  );
};

/** Makes a certificate, signed by its own CA, of which everything is as it was, but that it has ended. */
async function end(pem: string, ca: string): Promise<string> {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const der = createPrivateKey(await m1.run(`cat ${ca}.key`)).export({ type: 'pkcs8', format: 'der' });
  const old = new x509.X509Certificate(pem);
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: `0${old.serialNumber}`.slice(-16),
    subject: old.subjectName,
    issuer: old.issuerName,
    notBefore: new Date(Date.now() - 2 * 86_400_000),
    notAfter: new Date(Date.now() - 86_400_000),
    publicKey: await old.publicKey.export(),
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
    extensions: old.extensions,
  });
  return `${made.toString('pem').trim()}\n`;
}

/** What a cluster is like that was off for more than a year: everything has ended, and no kubelet comes up. */
async function endAll(): Promise<void> {
  const current = '/var/lib/kubelet/pki/kubelet-client-current.pem';
  for (const host of [m1, n1]) {
    const both = await host.run(`cat ${current}`);
    const [pem = ''] = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(both) ?? [];
    const ended = both.replace(pem, (await end(pem, `${PKI}/ca`)).trim());
    const data = Buffer.from(ended).toString('base64');
    await host.run(
      `echo ${data} | base64 -d >/var/lib/kubelet/pki/ended.pem; ln -sfn ended.pem ${current}; systemctl restart kubelet`,
    );
  }
  const files: readonly (readonly [string, string])[] = [
    ...['apiserver', 'apiserver-kubelet-client'].map((name) => [`${PKI}/${name}.crt`, `${PKI}/ca`] as const),
    [`${PKI}/front-proxy-client.crt`, `${PKI}/front-proxy-ca`],
    [`${PKI}/apiserver-etcd-client.crt`, `${PKI}/etcd/ca`],
    ...['server', 'peer', 'healthcheck-client'].map((name) => [`${PKI}/etcd/${name}.crt`, `${PKI}/etcd/ca`] as const),
  ];
  for (const [file, ca] of files) writeFileSync(join(m1.root, file), await end(await m1.run(`cat ${file}`), ca));
  for (const name of ['admin', 'controller-manager', 'scheduler']) {
    const file = join(m1.root, `/etc/kubernetes/${name}.conf`);
    const text = readFileSync(file, 'utf8');
    const [, data = ''] = /client-certificate-data: (\S+)/.exec(text) ?? [];
    const pem = await end(Buffer.from(data, 'base64').toString(), `${PKI}/ca`);
    writeFileSync(file, text.replace(data, Buffer.from(pem).toString('base64')));
  }
  for (const host of [m1, n1])
    await until(async () => !(await host.run('systemctl is-active kubelet; true')).startsWith('active'));
  for (const pid of Object.values(await processes())) await m1.run(`kill ${pid}`);
}

interface Listed {
  readonly hosts: readonly {
    readonly host: string;
    readonly certificates: readonly { readonly name: string; readonly daysLeft: number; readonly names: string[] }[];
  }[];
}
const listed = async (): Promise<Listed> =>
  JSON.parse(await mustSlipway(command('cert', '--json'), { root })) as Listed;

describe.skipIf(!lab.ok).sequential('a cluster', () => {
  beforeAll(async () => {
    m1 = await startLabHost('cert-m1', '10.99.0.120');
    n1 = await startLabHost('cert-n1', '10.99.0.121');
    for (const host of [m1, n1]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'yard:v1');
    writeFileSync(
      join(home, 'launch.yaml'),
      `apiVersion: sealer.io/v2
kind: Cluster
metadata:
  name: yard
spec:
  image: yard:v1
  env: [SHIFT=night]
  hosts:
    - { ips: [${m1.ip}], roles: [master] }
    - { ips: [${n1.ip}], roles: [node] }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
caCertificateValidityPeriod: 876000h
certificateValidityPeriod: 8760h
`,
    );
    // kubeadm 1.20 knows neither
    const { stderr } = await slipway(command('apply', '-f', join(home, 'launch.yaml')), { root });
    expect(stderr).toContain('certificateValidityPeriod is passed over by kubeadm v1.20.2');
    expect(stderr).not.toContain('caCertificateValidityPeriod');
  });

  afterAll(stopLabHosts);

  describe.sequential('has certificates, which', () => {
    it('are listed with the days that are left', async () => {
      const { hosts } = await listed();
      expect(hosts.map(({ host }) => host)).toEqual([m1.ip, n1.ip]);
      const days = Object.fromEntries(hosts[0]?.certificates.map(({ name, daysLeft }) => [name, daysLeft]) ?? []);
      for (const name of ['apiserver', 'etcd-server', 'front-proxy-client', 'admin.conf', 'kubelet'])
        expect(days[name], name).toBe(364);
      for (const name of ['ca', 'etcd-ca', 'front-proxy-ca']) expect(days[name], name).toBe(36_499);
      expect(hosts[1]?.certificates.map(({ name }) => name)).toEqual(['ca', 'kubelet']);
      expect(await mustSlipway(command('cert'), { root })).toMatch(
        new RegExp(`${m1.ip} +apiserver +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC +364 +slipway cert --renew`),
      );
    });

    it('get names, and only the API server notices', async () => {
      const names = ['api.yard.example', '203.0.113.7'];
      const add = command('cert', '--alt-names', names.join(','));
      expect(await mustSlipway([...add, '--dry-run'], { root })).toContain('1 to do, 0 done already');
      const were = await processes();
      const { subjectAltName: had = '' } = await served();
      expect(await mustSlipway(add, { root })).toContain('are known by these names as well');
      const now = await served();
      for (const name of [
        ...names.map((name) => (name.startsWith('2') ? `IP Address:${name}` : `DNS:${name}`)),
        ...had.split(', '),
      ])
        expect(now.subjectAltName?.split(', ')).toContain(name);
      const { 'kube-apiserver': apiServer, ...others } = await processes();
      expect(apiServer).not.toBe(were['kube-apiserver']);
      // controllers that cannot renew their lease end by themselves, and are started by kubelet
      expect(others.etcd).toBe(were.etcd);
      expect(await kubectl('-n kube-system get configmap kubeadm-config -o yaml')).toContain('api.yard.example');
      // a client that knows nothing else is let in by the new name
      await m1.run('echo "127.0.0.1 api.yard.example" >>/etc/hosts');
      expect(await kubectl('--server=https://api.yard.example:6443 get --raw=/readyz')).toBe('ok');
      await m1.run("sed -i '/api.yard.example/d' /etc/hosts");
      // again: nothing is done
      expect(await mustSlipway(add, { root })).toContain('nothing to do');
      expect((await processes())['kube-apiserver']).toBe(apiServer);
      expect((await served()).fingerprint256).toBe(now.fingerprint256);
    });

    it('are renewed, and everything uses the new ones', async () => {
      const [api, were] = [await served(), await processes()];
      const kubeconfig = readFileSync(join(root, 'data/yard/admin.kubeconfig'), 'utf8');
      expect(await mustSlipway(command('cert', '--renew', '--dry-run'), { root })).toContain(`+ ${m1.ip}`);
      expect(await mustSlipway(command('cert', '--renew'), { root })).toContain(
        `the certificates of ${m1.ip} are renewed, and in use`,
      );
      const now = await served();
      expect(now.serialNumber).not.toBe(api.serialNumber);
      expect(now.subjectAltName).toBe(api.subjectAltName);
      for (const [name, pid] of Object.entries(await processes())) {
        expect(pid.trim(), name).toMatch(/^\d+$/);
        expect(pid, name).not.toBe(were[name]);
      }
      expect(readFileSync(join(root, 'data/yard/admin.kubeconfig'), 'utf8')).not.toBe(kubeconfig);
      expect(await m1.run('kubectl get nodes')).toMatch(/cert-m1 +Ready[\s\S]*cert-n1 +Ready/);
    });

    it('are renewed when they have ended and the cluster refuses everything', async () => {
      await endAll();
      await until(async () => /x509|refused|Unauthorized/.test(await m1.run('kubectl get nodes 2>&1; true')));
      const check = await slipway(command('check'), { root });
      expect(check.code).toBe(1);
      expect(check.stdout).toContain('/etc/kubernetes/pki/apiserver.crt has ended');
      const names = await slipway(command('cert', '--alt-names', 'late.example'), { root });
      expect(names.code).toBe(1);
      expect(names.stderr).toContain('renew them first: slipway cert --renew --cluster yard');
      expect((await listed()).hosts[0]?.certificates.find(({ name }) => name === 'apiserver')?.daysLeft).toBeLessThan(
        0,
      );

      await mustSlipway(command('cert', '--renew'), { root });
      // a kubelet that has its certificate says at once that it is ready, as soon as it has started
      await until(async () => /cert-m1 +Ready[\s\S]*cert-n1 +Ready/.test(await m1.run('kubectl get nodes')));
      expect((await served()).subjectAltName).toContain('api.yard.example');
      for (const { certificates } of (await listed()).hosts)
        expect(certificates.find(({ name }) => name === 'kubelet')?.daysLeft).toBeGreaterThan(300);
      expect(await n1.run('ls /etc/kubernetes')).not.toContain('bootstrap');
      await m1.run('rm /var/lib/kubelet/pki/ended.pem');
      await n1.run('rm /var/lib/kubelet/pki/ended.pem');
      // what is new on the cluster comes to be: controllers, scheduler and kubelet all work with it
      await kubectl('create deployment late --image=k8s.gcr.io/pause:3.2');
      await kubectl('rollout status deployment late');
    });
  });

  describe.sequential('whose launching machine is lost', () => {
    const state = (name: string): string => join(root, 'data', name);
    /** What a command could have changed on a host that goes on, with times. */
    const FILES = "find /etc /root /var/lib/slipway -type f -not -path '*/.kube/cache/*' -printf '%p %T@\\n' | sort";
    const gen = (...args: readonly string[]): string[] => command('gen', '--masters', m1.ip, ...args);
    const file = join(home, 'Clusterfile');

    it('is known again by what a master has kept', async () => {
      const kept = JSON.parse(readFileSync(join(state('yard'), 'cluster.json'), 'utf8')) as {
        image: unknown;
        env: unknown;
      };
      const files = await m1.run(FILES);
      expect((await slipway(gen(), { root })).stderr).toContain('cluster yard is known here already');
      rmSync(state('yard'), { recursive: true });
      expect(await mustSlipway(gen('-f', file), { root })).toContain(
        'Cluster yard is known here now, by what a master had kept',
      );
      const known = JSON.parse(readFileSync(join(state('yard'), 'cluster.json'), 'utf8')) as typeof kept;
      expect({ ...known, updated: '' }).toEqual({ ...kept, updated: '' });
      expect(await mustSlipway(command('status'), { root })).toMatch(
        /Image: +yard:v1[\s\S]*cert-m1[^\n]*Ready[\s\S]*cert-n1[^\n]*Ready/,
      );
      expect((await slipway(command('check'), { root })).stdout).toContain('2 of 2 hosts answered');
      expect(
        await m1.run(
          `KUBECONFIG=/dev/stdin kubectl get nodes <<'E'\n${readFileSync(join(state('yard'), 'admin.kubeconfig'), 'utf8')}E`,
        ),
      ).toContain('cert-n1');
      expect(await m1.run(FILES)).toBe(files);
    });

    it('goes on from its Clusterfile, and from what is known', async () => {
      const n2 = await startLabHost('cert-n2', '10.99.0.122');
      const plan = JSON.parse(
        await mustSlipway(command('join', '--nodes', n2.ip, '--dry-run', '--json'), { root }),
      ) as {
        steps: { id: string; state: string }[];
      };
      const open = plan.steps.filter(({ state: is }) => is !== 'done').map(({ id }) => id);
      expect(open).toContain(`join@${n2.ip}`);
      // that the registry was begun only the journal knew; what it is begun with is as it was
      expect(open.filter((id) => id.includes('@') && !id.endsWith(n2.ip))).toEqual([`registry@${m1.ip}`]);
      await n2.stop();
      const apply = command('apply', '-f', file);
      await mustSlipway(apply, { root });
      expect(await mustSlipway(apply, { root })).toContain(': 0 steps done');
      // a name that is added to the Clusterfile is served, a setting that kubeadm read once is told of
      const more = { kind: 'ClusterConfiguration', apiServer: { certSANs: ['by.clusterfile'], extraArgs: { v: '3' } } };
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, `${text}---\n${JSON.stringify({ apiVersion: 'kubeadm.k8s.io/v1beta2', ...more })}\n`);
      const { code, stdout, stderr } = await slipway(apply, { root });
      expect(code, stderr).toBe(0);
      expect(stdout).toContain(': 1 step');
      expect(stderr).toContain(
        'ClusterConfiguration (apiServer): changed, and kubeadm reads it only when a cluster begins',
      );
      expect(await mustSlipway(command('cert', '--json'), { root })).toContain('"by.clusterfile"');
      writeFileSync(file, text);
      expect(await mustSlipway(apply, { root })).toContain(': 0 steps done');
    });

    it('is not taken back by a machine that knows an older state of it', async () => {
      const known = join(state('yard'), 'cluster.json');
      const old = readFileSync(known);
      const text = readFileSync(file, 'utf8');
      const changed = text.replace(/^spec:$/m, 'spec:\n  hostAliases: [{ ip: 10.1.1.1, hostnames: [printer.yard] }]');
      writeFileSync(file, changed);
      await mustSlipway(command('apply', '-f', file), { root });
      writeFileSync(known, old);
      writeFileSync(file, text);
      for (const args of [
        ['apply', '-f', file],
        ['run', 'yard:v1', '--cluster', 'yard', '--masters', m1.ip, '--nodes', n1.ip],
        ['delete', '--nodes', n1.ip, '--force'],
        ['cert', '--renew'],
        ['registry', 'rotate', '--cluster', 'yard'],
      ]) {
        const { code, stderr } = await slipway(command(...args), { root });
        expect(code, args[0]).toBe(1);
        expect(stderr, args[0]).toContain(
          `cluster yard was changed from another machine: ${m1.ip} keeps a state of it`,
        );
        expect(stderr, args[0]).toContain(`slipway gen --cluster yard --masters ${m1.ip} --force`);
      }
      expect(await m1.run('cat /etc/hosts')).toContain('10.1.1.1 printer.yard');
      expect(await mustSlipway(gen('--cluster', 'yard', '--force', '-f', file), { root })).toContain(
        'is known here now',
      );
      expect(readFileSync(file, 'utf8')).toContain('printer.yard');
      expect(await mustSlipway(command('apply', '-f', file), { root })).toContain('0 steps done');
    });

    it('is put together from its hosts when no master has kept anything', async () => {
      rmSync(state('yard'), { recursive: true });
      await m1.run('rm /var/lib/slipway/data/yard/.cluster.json');
      const found = JSON.parse(await mustSlipway(gen('--json'), { root })) as {
        from: string;
        image: { name: string };
        hosts: { address: string }[];
      };
      expect(found.from).toBe('hosts');
      expect(found.image.name).toBe('yard:v1');
      expect(found.hosts.map(({ address }) => address)).toEqual([m1.ip, n1.ip]);
      expect(await mustSlipway(command('status'), { root })).toMatch(/cert-m1[^\n]*Ready[\s\S]*cert-n1[^\n]*Ready/);
    });

    it('is looked at, and its certificates cared for, when Slipway did not launch it', async () => {
      rmSync(state('yard'), { recursive: true });
      for (const host of [m1, n1])
        await host.run('cd /var/lib/slipway/data && mv yard/.owner.json /var/tmp/owner.json');
      const clusterfile = await mustSlipway(gen('--cluster', 'old'), { root });
      expect(clusterfile).toContain('podSubnet: ');
      expect(await mustSlipway(command('status'), { root })).toMatch(/Cluster: +old[\s\S]*cert-n1[^\n]*Ready/);
      expect((await slipway(command('check'), { root })).stdout).not.toContain('nothing of cluster old');
      const add = command('cert', '--alt-names', 'api.yard.example');
      expect(await mustSlipway(add, { root })).toContain('nothing to do');
      const join_ = await slipway(command('delete', '--nodes', n1.ip, '--force'), { root });
      expect(join_.code).toBe(1);
      expect(join_.stderr).toContain('Slipway did not launch cluster old');
      rmSync(state('old'), { recursive: true });
      for (const host of [m1, n1]) await host.run('mv /var/tmp/owner.json /var/lib/slipway/data/yard/.owner.json');
      await mustSlipway(gen(), { root });
    });

    it('is taken away from there, and nothing of it is left', async () => {
      await mustSlipway(command('reset', '--cluster', 'yard', '--force'), { root });
      for (const host of [m1, n1]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
    });
  });
});
