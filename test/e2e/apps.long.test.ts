// An application image on a cluster that is up: its own container image runs on the worker, and all of it goes again.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDockerRegistry } from '../integration/registry/support/docker-registry.js';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`apps: left out: ${lab.why}`);

const home = tempDirectory('slipway-apps-');
const root = join(home, 'store');
const APP = '/var/lib/slipway/data/yard/apps/shop';
const REPOSITORY = '/var/lib/slipway/data/yard/rootfs/registry/docker/registry/v2/repositories/hello';
const MIRROR = '/etc/containerd/certs.d/apps.example';
const before = new Map<string, string>();
let m1: LabHost;
let n1: LabHost;

const kubectl = (command: string): Promise<string> =>
  m1.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);
const command = (...args: readonly string[]): string[] => [...args, '-i', m1.keyFile, '--host-key-check=off'];

/** `apps.example/hello:1.0`, and an application image that runs it, behind a script that waits for a file. */
async function buildShop(): Promise<void> {
  const context = (name: string, files: Readonly<Record<string, string>>): string => {
    const dir = join(home, name);
    mkdirSync(dir);
    for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, file), text);
    return dir;
  };
  const hello = context('hello', {
    Kubefile:
      '# dialect=docker\nFROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox", "sleep", "1000000"]\n',
  });
  copyFileSync(execFileSync('sh', ['-c', 'command -v busybox']).toString().trim(), join(hello, 'busybox'));
  const shop = context('shop', {
    Kubefile: `FROM scratch
APP gate local://gate.sh
APP hello local://hello.yaml.tmpl
APPENV hello GREETING=ahoy
LAUNCH ["gate", "hello"]
`,
    'gate.sh': 'touch /tmp/gate-began\nwhile [ ! -e /tmp/gate-open ]; do sleep 0.2; done\n',
    'hello.yaml.tmpl': `apiVersion: v1
kind: Pod
metadata: { name: hello, labels: { greeting: "{{ .GREETING }}" } }
spec:
  nodeName: apps-n1
  terminationGracePeriodSeconds: 0
  containers: [{ name: hello, image: apps.example/hello:1.0 }]
`,
  });
  const registry = await startDockerRegistry();
  try {
    const image = `${registry.address}/hello:1.0`;
    await mustSlipway(['build', '--build-mode', 'lite', '-t', image, hello], { root });
    await mustSlipway(['push', image], { root });
    writeFileSync(join(root, 'config.yaml'), `registries: {mirrors: {apps.example: ["${registry.address}"]}}\n`);
    await mustSlipway(['build', '--type', 'app-installer', '-t', 'shop:v1', shop], { root });
  } finally {
    await registry.close();
  }
}

describe.skipIf(!lab.ok).sequential('an application image', () => {
  beforeAll(async () => {
    m1 = await startLabHost('apps-m1', '10.99.0.105');
    n1 = await startLabHost('apps-n1', '10.99.0.106');
    for (const host of [m1, n1]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'yard:v1');
    await buildShop();
    await mustSlipway(command('run', 'yard:v1', '--cluster', 'yard', '--masters', m1.ip, '--nodes', n1.ip), { root });
  });

  afterAll(stopLabHosts);

  it('is no cluster, and a cluster is no application', async () => {
    const run = await slipway(command('run', 'shop:v1', '--cluster', 'x', '--masters', m1.ip), { root });
    expect(run.stderr).toContain('"slipway run-app shop:v1" installs it on a cluster that is up');
    const app = await slipway(command('run-app', 'yard:v1'), { root });
    expect(app.code).toBe(1);
    expect(app.stderr).toContain('yard:v1 installs a whole cluster');
  });

  it('is installed, also when that is killed in the middle, and its own container image runs on the worker', async () => {
    const plan = await mustSlipway(command('run-app', 'shop:v1', '--dry-run'), { root });
    expect(plan).toMatch(/\+ 10\.99\.0\.105 +send the container images of shop/);
    expect(plan).toMatch(/\+ 10\.99\.0\.106 +mirror apps\.example/);
    expect(await m1.run(`ls ${APP} 2>/dev/null || echo none`)).toBe('none\n');

    const running = startSlipway(command('run-app', 'shop:v1'), { root });
    let over = false;
    void running.ended.finally(() => {
      over = true;
    });
    await until(async () => over || (await m1.run('ls /tmp/gate-began')) !== '');
    running.kill('SIGKILL');
    expect((await running.ended).signal).toBe('SIGKILL');
    expect(await mustSlipway(command('status'), { root })).toMatch(/shop +shop:v1 +sha256:\w+ +gate,hello +installing/);

    await m1.run('touch /tmp/gate-open');
    const installed = await slipway(command('run-app', 'shop:v1'), { root });
    expect(installed.code, installed.stderr).toBe(0);
    expect(installed.stdout).toContain('shop is on cluster yard, from shop:v1 (gate, hello): 2 steps done');
    await until(async () => (await kubectl('get pod hello -o jsonpath={.status.phase}')) === 'Running');
    expect(await kubectl('get pod hello -o jsonpath={.spec.nodeName},{.metadata.labels.greeting}')).toBe(
      'apps-n1,ahoy',
    );
    expect(await mustSlipway(command('run-app', 'shop:v1'), { root })).toContain(': 0 steps done, 6 were done already');
  });

  it('is configured by an Application, and leaves the cluster as it was', async () => {
    const file = join(home, 'shop.yaml');
    writeFileSync(
      file,
      `apiVersion: slipway/v1
kind: Application
metadata: { name: shop }
spec:
  configs:
    - name: hello
      env: [GREETING=moin]
    - name: gate
      delete: { cmds: [rm /tmp/gate-open /tmp/gate-began] }
`,
    );
    const changed = await mustSlipway(command('run-app', 'shop:v1', '-f', file, '--json'), { root });
    expect(JSON.parse(changed)).toMatchObject({ name: 'shop', applications: ['gate', 'hello'], ran: 3, failures: [] });
    expect(await kubectl('get pod hello -o jsonpath={.metadata.labels.greeting}')).toBe('moin');
    expect(await mustSlipway(command('run-app', 'shop:v1', '-f', file), { root })).toContain(': 0 steps done');
    const run = ['run', 'yard:v1', '--cluster', 'yard', '--masters', m1.ip, '--nodes', n1.ip];
    expect(await mustSlipway(command(...run), { root })).toContain(': 0 steps done');
    const check = JSON.parse((await slipway(command('check', '--json'), { root })).stdout) as {
      findings: { check: string }[];
    };
    expect(check.findings.filter((one) => one.check === 'drift')).toEqual([]);
  });

  it('is taken away, and goes on being so after a failure', async () => {
    expect((await slipway(command('delete-app', 'shp'), { root })).stderr).toContain('did you mean shop?');
    await m1.run('rm /tmp/gate-began');
    const failed = await slipway(command('delete-app', 'shop'), { root });
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('gate: rm /tmp/gate-open /tmp/gate-began');
    expect(await kubectl('get pods')).toBe('');
    expect(await m1.run(`ls -d ${APP} ${REPOSITORY}`)).toContain(APP);

    await m1.run('touch /tmp/gate-open /tmp/gate-began');
    expect(await mustSlipway(command('delete-app', 'shop'), { root })).toContain('shop is off cluster yard');
    expect(await m1.run(`ls -d ${APP} ${REPOSITORY} ${MIRROR} 2>/dev/null || echo none`)).toBe('none\n');
    expect(await n1.run(`ls -d ${MIRROR} 2>/dev/null || echo none`)).toBe('none\n');
    expect(await kubectl('-n kube-system get configmap slipway-launched -o jsonpath={.data}')).not.toContain(
      'app-shop',
    );
    expect(JSON.parse(await mustSlipway(command('status', '--json'), { root }))).toMatchObject({
      clusters: [{ applications: [] }],
    });
  });

  it('goes with its cluster', async () => {
    await m1.run('touch /tmp/gate-open');
    await mustSlipway(command('run-app', 'shop:v1'), { root });
    await mustSlipway(command('reset', '--cluster', 'yard', '--force'), { root });
    for (const host of [m1, n1]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
  });
});
