// A cluster becomes another version and goes back: node by node, drained, also when the upgrade is killed or a node does not come up.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`upgrade: left out: ${lab.why}`);

const home = tempDirectory('slipway-upgrade-');
const root = join(home, 'store');
let m1: LabHost;
let n1: LabHost;
const before = new Map<string, string>();

const kubectl = (command: string): Promise<string> =>
  m1.run(`KUBECONFIG=/etc/kubernetes/admin.conf kubectl ${command}`);
const versions = async (): Promise<string> =>
  (
    await kubectl(
      `get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion} {.spec.unschedulable};{"\\n"}{end}'`,
    )
  ).trim();
const command = (...args: readonly string[]): string[] => [...args, '-i', m1.keyFile, '--host-key-check=off'];

describe.skipIf(!lab.ok).sequential('a cluster that is upgraded', () => {
  beforeAll(async () => {
    m1 = await startLabHost('up-m1', '10.99.0.80');
    n1 = await startLabHost('up-n1', '10.99.0.81');
    for (const host of [m1, n1]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'ship:v1');
    await buildBaseImage(root, 'ship:v2', 'v1.20.3');
    await mustSlipway(command('run', 'ship:v1', '--cluster', 'ship', '--masters', m1.ip, '--nodes', n1.ip), { root });
  });

  afterAll(stopLabHosts);

  it('is not taken to another image by a run, and has nothing to go back to', async () => {
    const run = await slipway(command('run', 'ship:v2', '--cluster', 'ship', '--masters', m1.ip, '--nodes', n1.ip), {
      root,
    });
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('"slipway upgrade ship:v2 --cluster ship"');
    expect((await slipway(command('rollback'), { root })).stderr).toContain('cluster ship has never been upgraded');
  });

  it('goes on when its upgrade is killed between the master and the worker', async () => {
    const plan = JSON.parse(await mustSlipway(command('upgrade', 'ship:v2', '--dry-run', '--json'), { root })) as {
      steps: { id: string; state: string; title: string }[];
    };
    expect(plan.steps.filter(({ id }) => id.startsWith('upgrade@')).map(({ id, title }) => `${id} ${title}`)).toEqual([
      `upgrade@${m1.ip} upgrade from v1.20.2 to v1.20.3`,
      `upgrade@${n1.ip} upgrade from v1.20.2 to v1.20.3`,
    ]);
    const running = startSlipway(command('upgrade', 'ship:v2'), { root });
    const ended = running.ended;
    let over = false;
    void ended.finally(() => {
      over = true;
    });
    // killed while the worker is drained or its kubelet is replaced
    await until(() => over || /\[upgrade-masters\][^\n]*: \d/.test(running.output()), 50);
    running.kill('SIGKILL');
    expect((await ended).signal).toBe('SIGKILL');
    expect(await versions()).toMatch(/up-m1 v1\.20\.3/);
    const { code, stdout, stderr } = await slipway(command('upgrade', 'ship:v2'), { root });
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain('[upgrade-masters]');
    expect(stdout.match(/v1\.20\.3 +Ready/g)).toHaveLength(2);
    expect(await versions()).toBe('up-m1 v1.20.3 ;\nup-n1 v1.20.3 ;');
    expect(await kubectl("-n kube-system get pods -o jsonpath='{..image}'")).toContain('kube-apiserver:v1.20.3');
    expect(await m1.run('stat -c %a /var/lib/slipway/data/ship/etcd-before-v1.20.2-*.db')).toBe('600\n');
    expect(await mustSlipway(command('upgrade', 'ship:v2'), { root })).toContain(': 0 steps done');
  });

  it('goes back, stops at a node that does not come up, says why, and goes on when it is mended', async () => {
    const broken = '/etc/systemd/system/kubelet.service.d/99-broken.conf';
    await n1.run(`printf '[Service]\\nExecStartPre=/bin/sh -c "echo no fuel; false"\\n' >${broken}`);
    // what the cluster ran is found by what it is, whatever has become of its name
    await mustSlipway(['rmi', 'ship:v1'], { root });
    const stuck = await slipway(command('rollback', '--ready-timeout', '30'), { root });
    expect(stuck.code, stuck.stderr).toBe(1);
    expect(stuck.stderr).toContain(`${n1.ip}: upgrade from v1.20.3 to v1.20.2 failed: waited 30 s for node up-n1`);
    expect(stuck.stderr).toContain('no fuel');
    await n1.run(`rm ${broken}; systemctl daemon-reload`);
    const { code, stdout, stderr } = await slipway(command('rollback'), { root });
    expect(code, stderr).toBe(0);
    expect(stdout.match(/v1\.20\.2 +Ready/g)).toHaveLength(2);
    expect(await versions()).toBe('up-m1 v1.20.2 ;\nup-n1 v1.20.2 ;');
  });

  it('leaves nothing on its hosts in the end', async () => {
    await mustSlipway(command('reset', '--cluster', 'ship', '--force'), { root });
    for (const host of [m1, n1]) expect(await host.run(HOST_SNAPSHOT), host.name).toBe(before.get(host.name));
  });
});
