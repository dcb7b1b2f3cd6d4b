// What happens to an installation on real hosts when things go wrong: hosts that do not fit, interrupted and killed runs, a worker that
// dies, files changed by hand, commands that fail, lost state; and what is left afterwards, which is nothing.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`cluster: left out: ${lab.why}`);

const home = tempDirectory('slipway-cluster-');
const root = join(home, 'store');
const IMAGE = 'site:v1';
const STATE = join(root, 'data/edge');
const ROOTFS = '/var/lib/slipway/data/edge/rootfs';
const SECRET = 'opensesame-4711';

let master: LabHost;
let worker: LabHost;
let second: LabHost;
const before = new Map<string, string>();

/** `run` on the first master and these workers. */
const run = (workers: readonly LabHost[], ...more: readonly string[]): string[] => [
  'run',
  IMAGE,
  '--cluster',
  'edge',
  '--masters',
  master.ip,
  ...(workers.length === 0 ? [] : ['--nodes', workers.map(({ ip }) => ip).join(',')]),
  '-i',
  master.keyFile,
  '--host-key-check=off',
  '-e',
  'SITE=harbour',
  '-e',
  `APP_PASSWORD=${SECRET}`,
  ...more,
];
const reset = (...more: readonly string[]): string[] => [
  'reset',
  '--cluster',
  'edge',
  '--force',
  '--host-key-check=off',
  '-i',
  master.keyFile,
  ...more,
];
const kubectl = (command: string): Promise<string> =>
  master.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);

/** Starts a run and does `act` when it has said `mark`. */
async function duringRun(
  args: readonly string[],
  mark: RegExp,
  act: (running: ReturnType<typeof startSlipway>) => unknown,
): Promise<Awaited<ReturnType<typeof slipway>>> {
  const running = startSlipway(args, { root });
  let over = false;
  const ended = running.ended.finally(() => {
    over = true;
  });
  await until(() => mark.test(running.output()) || over, 50);
  if (!over) await act(running);
  return ended;
}

describe.skipIf(!lab.ok).sequential('an installation', () => {
  beforeAll(async () => {
    master = await startLabHost('cluster-m1', '10.99.0.60');
    worker = await startLabHost('cluster-n1', '10.99.0.61');
    second = await startLabHost('cluster-n2', '10.99.0.62');
    for (const host of [master, worker, second]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1.20.2');
    const context = join(home, 'context');
    mkdirSync(join(context, 'etc'), { recursive: true });
    writeFileSync(
      join(context, 'Kubefile'),
      `FROM base:v1.20.2
COPY etc etc/
CMD kubectl create configmap launched --from-literal=site=$SITE --from-literal=registry=$RegistryURL
`,
    );
    writeFileSync(
      join(context, 'etc/site.conf.tmpl'),
      'site {{ .SITE }}\nme {{ .HostIP }}\nregistry {{ .RegistryURL }}\n',
    );
    await mustSlipway(['build', '-t', IMAGE, context], { root });
  });

  afterAll(stopLabHosts);

  it('tells every problem of every host at once, and has touched none', async () => {
    await master.run('systemd-run -q --collect --unit=squatter socat TCP-LISTEN:6443,fork,reuseaddr PIPE');
    await worker.run('mkdir -p /etc/kubernetes && touch /etc/kubernetes/admin.conf');
    await second.run(`hostname ${worker.name}`);
    const refused = await slipway(run([worker, second, { ...second, ip: '10.99.0.69' }]), { root });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('nothing was changed on any host');
    expect(refused.stderr).toMatch(new RegExp(`${master.ip}: port 6443 already in use`));
    expect(refused.stderr).toMatch(new RegExp(`${worker.ip}: there is Kubernetes on it that Slipway did not install`));
    expect(refused.stderr).toMatch(new RegExp(`${worker.ip} and ${second.ip} have the same hostname ${worker.name}`));
    expect(refused.stderr).toMatch(/host 10\.99\.0\.69: cannot be reached/);
    await master.run('systemctl stop squatter');
    await worker.run('rm -r /etc/kubernetes');
    await second.run(`hostname ${second.name}`);
    for (const host of [master, worker, second]) {
      expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
    }
  });

  it('says which line of a template has a variable that nobody gave', async () => {
    const { code, stderr } = await slipway(
      run([worker]).filter((word, index, all) => word !== 'SITE=harbour' && all[index + 1] !== 'SITE=harbour'),
      { root },
    );
    expect(code).toBe(2);
    expect(stderr).toContain('etc/site.conf.tmpl:1: there is no variable SITE');
  });

  it('stops in order at Ctrl-C, and a second one on the same cluster is refused meanwhile', async () => {
    let other: Awaited<ReturnType<typeof slipway>> | undefined;
    const { code, stderr } = await duringRun(run([worker]), /\[distribute\] .*: /, async ({ kill }) => {
      other = await slipway(run([worker]), { root });
      kill('SIGINT');
    });
    expect(other?.code).toBe(1);
    expect(other?.stderr).toMatch(/cluster edge is in use by slipway run \(process \d+ of root, since /);
    expect(code).toBe(130);
    expect(stderr).toContain('interrupted; what was running has finished');
    expect(stderr).not.toContain('[init]');
  });

  it('that is killed in the middle of kubeadm init goes on where it was', async () => {
    const killed = await duringRun(run([worker]), /\[mirrors\] .*\n.*\[mirrors\]/, async ({ kill }) => {
      await until(() => master.run('test -e /etc/kubernetes/manifests/etcd.yaml && echo yes; true').then(Boolean));
      kill('SIGKILL');
    });
    expect(killed.signal).toBe('SIGKILL');
    const { code, stdout, stderr } = await slipway(run([worker]), { root });
    expect(code, stderr).toBe(0);
    expect(stdout.match(/ Ready\b/g)).toHaveLength(2);
    expect(stderr).not.toContain('receiving');
    expect(stderr).toContain('[init]');
  });

  it('gives hosts their own files, launch commands their variables, and keeps secrets to itself', async () => {
    for (const host of [master, worker]) {
      expect(await host.run(`cat ${ROOTFS}/etc/site.conf`)).toBe(
        `site harbour\nme ${host.ip}\nregistry sea.hub:5000\n`,
      );
    }
    expect(await kubectl("get cm launched -o jsonpath='{.data.site} {.data.registry}'")).toBe('harbour sea.hub:5000');
    for (const file of readdirSync(STATE, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const text = readFileSync(join(file.parentPath, file.name), 'utf8');
      expect(text, file.name).not.toContain(SECRET);
      expect(text, file.name).not.toMatch(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/);
    }
    expect(await kubectl('-n kube-system get secrets -o name')).not.toMatch(
      /bootstrap-token.*\n.*bootstrap-token-[a-z0-9]{6}$/m,
    );
    expect(await worker.run('ls -A /run/slipway 2>/dev/null; true')).toBe('');
  });

  it('notices files changed by hand, and sends only these', async () => {
    await worker.run(`echo changed >${ROOTFS}/etc/site.conf; rm ${ROOTFS}/bin/crictl; touch ${ROOTFS}/etc/mine`);
    const plan = JSON.parse(await mustSlipway(run([worker], '--dry-run', '--json'), { root })) as {
      steps: { id: string; state: string; why: string }[];
    };
    expect(plan.steps.filter(({ state }) => state !== 'done').map(({ id, why }) => `${id}: ${why}`)).toEqual([
      expect.stringMatching(new RegExp(`^distribute@${worker.ip}: 2 entries to send`)),
    ]);
    expect(await mustSlipway(run([worker]), { root })).toContain(': 1 step done');
    expect(await worker.run(`cat ${ROOTFS}/etc/site.conf; ls ${ROOTFS}/bin/crictl ${ROOTFS}/etc/mine`)).toContain(
      'harbour',
    );
    // what init.sh installed is left alone, until the host is to be set up anew
    await worker.run('rm /usr/bin/crictl; echo "# mine" >>/etc/crictl.yaml');
    expect(await mustSlipway(run([worker]), { root })).toContain(': 0 steps done');
    const again = run([worker], '--set-up-again');
    expect(await mustSlipway([...again, '--dry-run'], { root })).toContain(
      'set up anew (v1.20.2): it is to be set up again',
    );
    await mustSlipway(again, { root });
    expect(
      await worker.run(
        'ls /usr/bin/crictl; grep -c mine /etc/crictl.yaml /var/lib/slipway/host/edited/etc/crictl.yaml.*',
      ),
    ).toMatch(/^\/usr\/bin\/crictl\n\/etc\/crictl\.yaml:0\n\/var\S+:1\n$/);
    await worker.run('rm -r /var/lib/slipway/host/edited');
  });

  it('can be described in a Clusterfile: what is added there is done, and what is taken out goes', async () => {
    const file = join(home, 'Clusterfile');
    const clusterfile = (ofWorker: string, more: string): string => `apiVersion: slipway/v1
kind: Cluster
metadata: { name: edge }
spec:
  image: ${IMAGE}
  env: [SITE=harbour, "APP_PASSWORD=\${env:APP_PASSWORD}"]
  ssh: { pk: ${master.keyFile} }
  hosts:
    - { ips: [${master.ip}], roles: [master] }
    - ips: [${worker.ip}]
      roles: [node]
${ofWorker}${more}`;
    const options = { root, env: { APP_PASSWORD: SECRET } };
    const of = (verb: string): string[] => [verb, '-f', file, '--host-key-check=off'];
    const node = `node/${worker.name}`;
    writeFileSync(file, clusterfile('', ''));
    expect(await mustSlipway(of('run'), options)).toContain(': 0 steps done');

    const marks = '      labels: { zone: dock }\n      taints: [dedicated=db:PreferNoSchedule]\n';
    const names = '  hostAliases: [{ ip: 10.99.0.200, hostnames: [nas.plant] }]\n';
    const config = `---
apiVersion: slipway/v1
kind: Config
metadata: { name: notice }
spec: { path: statics/notice/text, data: "mind the gap" }
`;
    writeFileSync(file, clusterfile(marks, names + config));
    const plan = JSON.parse(await mustSlipway([...of('plan'), '--json'], options)) as {
      steps: { id: string; state: string }[];
    };
    const open = plan.steps.filter(({ state }) => state !== 'done').map(({ id }) => id);
    expect(open).toEqual([
      `aliases@${master.ip}`,
      `aliases@${worker.ip}`,
      `distribute@${master.ip}`,
      `distribute@${worker.ip}`,
      'marks',
      // Launch commands are for the files that they are launched with.
      'launch-1',
      'launch-2',
    ]);
    expect(await kubectl(`get ${node} -o jsonpath='{.metadata.labels.zone}'`)).toBe('');
    await kubectl('delete cm launched');
    await mustSlipway(of('run'), options);
    expect(await kubectl(`get ${node} -o jsonpath='{.metadata.labels.zone} {.spec.taints[*].key}'`)).toBe(
      'dock dedicated',
    );
    for (const host of [master, worker]) {
      expect(await host.run(`getent hosts nas.plant; cat ${ROOTFS}/statics/notice/text`)).toMatch(
        /^10\.99\.0\.200\s+nas\.plant\nmind the gap/,
      );
    }
    expect(await mustSlipway(of('run'), options)).toContain(': 0 steps done');

    // Other files again: what is launched with them is launched again.
    await kubectl('delete cm launched');
    writeFileSync(file, clusterfile('', ''));
    await mustSlipway(of('run'), options);
    expect(
      await kubectl(`get ${node} -o jsonpath='{.metadata.labels.zone}{.spec.taints}{.metadata.annotations.slipway}'`),
    ).toBe('');
    expect(await worker.run(`getent hosts nas.plant; ls ${ROOTFS}/statics/notice 2>&1; true`)).toContain(
      'No such file',
    );
  });

  it('says of a launch command that fails what it printed, where its log is, and tries it again', async () => {
    const command = 'echo looking for it; ls /nowhere';
    const { code, stderr } = await slipway(run([worker], '--cmd', command), { root });
    expect(code).toBe(1);
    expect(stderr).toContain(`${master.ip}: ${command} failed`);
    expect(stderr).toContain("cannot access '/nowhere'");
    expect(stderr).toContain(join(STATE, `logs/${master.ip}.log`));
    expect(readFileSync(join(STATE, `logs/${master.ip}.log`), 'utf8')).toContain('looking for it');
    await master.run('mkdir /nowhere');
    await mustSlipway(run([worker], '--cmd', command), { root });
    await master.run('rmdir /nowhere');
  });

  it('leaves a worker that dies behind, says so, and takes it up the next time', async () => {
    const { code, stdout, stderr } = await duringRun(run([worker, second]), /\[mirrors\] 10\.99\.0\.62/, () =>
      second.cable('down'),
    );
    expect(code).toBe(1);
    expect(stdout.match(/ Ready\b/g)).toHaveLength(2);
    expect(stderr).toContain('cluster edge is up, but 1 of 3 hosts were left out');
    expect(stderr).toContain(second.ip);
    await second.cable('up');
    expect((await mustSlipway(run([worker, second]), { root })).match(/ Ready\b/g)).toHaveLength(3);
  });

  it('finds the cluster again after its hosts were switched off and on', async () => {
    for (const host of [master, worker]) await host.kill();
    for (const host of [master, worker]) await host.boot();
    const { code, stdout, stderr } = await slipway(run([worker, second]), { root });
    expect(code, stderr).toBe(0);
    expect(stdout.match(/ Ready\b/g)).toHaveLength(3);
    expect(await kubectl("get cm launched -o jsonpath='{.data.site}'")).toBe('harbour');
  });

  it('refuses a cluster of the same name that it knows nothing of', async () => {
    const elsewhere = join(home, 'elsewhere');
    await mustSlipway(['save', IMAGE, '-o', join(home, 'image.tar')], { root });
    await mustSlipway(['load', '-i', join(home, 'image.tar')], { root: elsewhere });
    const { code, stderr } = await slipway(run([worker]), { root: elsewhere });
    expect(code).toBe(1);
    expect(stderr).toContain(`${master.ip}: it belongs to another cluster that is named edge too`);
    rmSync(elsewhere, { recursive: true });
  });

  it('is taken away from the hosts that answer; the others are named, and done later', async () => {
    await second.cable('down');
    const { code, stderr } = await slipway(reset(), { root });
    expect(code).toBe(1);
    expect(stderr).toContain('cluster edge is still on these hosts');
    expect(stderr).toContain(second.ip);
    for (const host of [master, worker]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
    await second.cable('up');
    // what is known of the cluster is lost, too: the hosts are enough
    rmSync(STATE, { recursive: true });
    await mustSlipway(reset('--masters', master.ip, '--nodes', `${worker.ip},${second.ip}`), { root });
    for (const host of [master, worker, second]) {
      expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
    }
    expect(readdirSync(join(root, 'data'))).not.toContain('edge');
  });
});
