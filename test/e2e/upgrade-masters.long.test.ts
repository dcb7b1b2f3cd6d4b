// Three masters become another version; the power of one of them goes meanwhile. The others serve, and the upgrade goes on when it is back.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';

const lab = labAvailable();
if (!lab.ok) console.warn(`upgrade of masters: left out: ${lab.why}`);

const home = tempDirectory('slipway-masters-');
const root = join(home, 'store');
let masters: readonly LabHost[];
const command = (...args: readonly string[]): string[] => [
  ...[...args, '--cluster', 'three'],
  ...['-i', masters[0]?.keyFile ?? '', '--host-key-check=off'],
];
const host = (index: number): LabHost => masters[index] as LabHost;
const versions = async (): Promise<string> =>
  (
    await host(0).run(
      `KUBECONFIG=/etc/kubernetes/admin.conf kubectl get nodes -o jsonpath='{range .items[*]}{.metadata.name} {.status.nodeInfo.kubeletVersion} {.spec.unschedulable};{end}'`,
    )
  ).trim();

describe.skipIf(!lab.ok).sequential('three masters that are upgraded', () => {
  beforeAll(async () => {
    masters = await Promise.all(
      ['10.99.0.164', '10.99.0.165', '10.99.0.166'].map((ip, index) => startLabHost(`um-m${index + 1}`, ip)),
    );
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1');
    await buildBaseImage(root, 'base:v2', 'v1.20.3');
    // What each version does at its upgrade is in its image.
    const context = join(home, 'context');
    mkdirSync(join(context, 'plugins'), { recursive: true });
    writeFileSync(
      join(context, 'plugins', 'upgrade.yaml'),
      `apiVersion: sealer.aliyun.com/v1alpha1
kind: Plugin
metadata: { name: upgrade-note }
spec:
  type: SHELL
  action: upgrade-host
  scope: master
  data: echo "$(hostname) before" >>/var/log/upgrade-note
`,
    );
    writeFileSync(join(context, 'Kubefile'), 'FROM base:v2\nCOPY plugins plugins\n');
    await mustSlipway(['build', '-t', 'ship:v2', context], { root });
    await mustSlipway(command('run', 'base:v1', '--masters', masters.map(({ ip }) => ip).join(',')), { root });
  });

  afterAll(stopLabHosts);

  it('stop when one dies, say what runs, and go on when it is back', async () => {
    const running = startSlipway(command('upgrade', 'ship:v2', '--ready-timeout', '60'), { root });
    let over = false;
    void running.ended.finally(() => {
      over = true;
    });
    await until(() => over || new RegExp(`\\[upgrade-masters\\] ${host(0).ip}[^\\n]*: \\d`).test(running.output()), 50);
    await host(1).kill();
    expect((await running.ended).code).toBe(1);
    const said = running.output();
    expect(said).toContain(`error: ${host(1).ip}: upgrade from v1.20.2 to v1.20.3 failed: `);
    expect(said).toContain(
      `upgraded: ${host(0).ip}; not yet: ${host(1).ip}, ${host(2).ip}; "slipway rollback --cluster three" goes back`,
    );
    // The one that is not reached is as it was, and the cluster answers.
    expect(await versions()).toBe('um-m1 v1.20.3 ;um-m2 v1.20.2 ;um-m3 v1.20.2 ;');
    const dead = await slipway(command('upgrade', 'ship:v2'), { root });
    expect(dead.code).toBe(1);
    expect(dead.stderr).toContain(`${host(1).ip}: cannot be reached`);

    await host(1).boot();
    const { code, stdout, stderr } = await slipway(command('upgrade', 'ship:v2'), { root });
    expect(code, stderr).toBe(0);
    expect(stderr).not.toContain(`[upgrade-masters] ${host(0).ip}`);
    expect(stdout.match(/v1\.20\.3 +Ready/g)).toHaveLength(3);
    expect(await versions()).toBe('um-m1 v1.20.3 ;um-m2 v1.20.3 ;um-m3 v1.20.3 ;');
    // The hook of this upgrade ran once on each, however often it was begun.
    for (const master of masters) expect(await master.run('cat /var/log/upgrade-note')).toBe(`${master.name} before\n`);
  }, 900_000);
});
