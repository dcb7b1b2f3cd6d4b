import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';
import { until } from '../support/until.js';
import { writeTree } from '../support/write-tree.js';

const lab = labAvailable();
const home = tempDirectory('slipway-fan-out-');
const root = join(home, 'store');
const hosts: LabHost[] = [];
const COUNT = 5;

const command = (): string[] => [
  ...['run', 'fleet:v1', '--masters', hosts[0]?.ip ?? '', '--cluster', 'fleet', '--fan-out', '--host-key-check=off'],
  ...[
    '--nodes',
    hosts
      .slice(1)
      .map(({ ip }) => ip)
      .join(','),
    '-i',
    hosts[0]?.keyFile ?? '',
  ],
];
const run = (): Promise<{ code: number | null; stderr: string }> => slipway(command(), { root });
const SERVING = 'ls -d /run/slipway-serve* /run/systemd/system/slipway-serve* 2>/dev/null; true';
const anyServes = async (): Promise<boolean> =>
  (await Promise.all(hosts.map((host) => host.run(SERVING)))).some((found) => found !== '');
/** What ends a test that is only about files: the image's own script. */
const SUM =
  'cd /var/lib/slipway/data/fleet/rootfs && find . -type f -printf "%m %U %T@ %p " -exec sha256sum {} ";" | sort -k 4';

describe.skipIf(!lab.ok).sequential('many hosts behind a slow link', () => {
  beforeAll(async () => {
    const started = Array.from({ length: COUNT }, (_, index) =>
      startLabHost(`fan-h${index + 1}`, `10.99.0.15${index}`),
    );
    hosts.push(...(await Promise.all(started)));
    mkdirSync(root, { recursive: true });
    const program = '#!/bin/sh\n';
    const context = writeTree(join(home, 'context'), {
      Kubefile: 'FROM scratch\nCOPY . .\nCOPY --chmod=4755 bin bin/\n',
      Metadata: '{"version":"v1.20.2","arch":"amd64","ClusterRuntime":"k8s"}',
      'bin/kubeadm': program,
      'bin/kubelet': program,
      'bin/kubectl': program,
      'scripts/init.sh': 'echo here the files are; exit 7\n',
      'etc/host.conf.tmpl': 'host={{ .HostIP }}\n',
    });
    writeFileSync(join(context, 'bin', "it's big\n"), Buffer.alloc(20_000_000, 'slipway '));
    await mustSlipway(['build', '-t', 'fleet:v1', context], { root });
  });

  afterAll(stopLabHosts);

  it('get the files from each other, each what the image has, and where they cannot reach each other from here', async () => {
    const lonely = hosts.at(-1);
    await lonely?.run('iptables -I OUTPUT -p tcp --dport 20000:29999 -j REJECT');
    const { code, stderr } = await run();
    expect(code).toBe(1);
    expect(stderr).toContain('here the files are');
    const sent = stderr.split('\n').filter((line) => line.includes('entries, ') && line.includes('distribute'));
    expect(sent, stderr).toHaveLength(COUNT);
    const served = sent.filter((line) => /, from 10\.99\.0\.15\d$/.test(line));
    // how many depends on which way was free first
    expect(served.length, sent.join('\n')).toBeGreaterThan(0);
    expect(served.filter((line) => line.includes(`] ${lonely?.ip} `))).toEqual([]);
    const [first = '', ...others] = await Promise.all(hosts.map((host) => host.run(SUM)));
    expect(first).toMatch(/4755 0 .*big/);
    const withoutOwn = (text: string): string => text.replace(/.*etc\/host\.conf .*\n/, '');
    for (const other of others) expect(withoutOwn(other)).toBe(withoutOwn(first));
    for (const { ip, run: inside } of hosts) {
      expect(await inside('cat /var/lib/slipway/data/fleet/rootfs/etc/host.conf')).toBe(`host=${ip}\n`);
    }
    await lonely?.run('iptables -D OUTPUT -p tcp --dport 20000:29999 -j REJECT');
  });

  it('are left without anything that served', async () => {
    for (const host of hosts) {
      expect(await host.run(SERVING)).toBe('');
      expect(await host.run("systemctl list-units --all --no-legend 'slipway-serve*'")).toBe('');
    }
  });

  it('have nothing to get the second time', async () => {
    const { stderr } = await run();
    expect(stderr).not.toMatch(/entries, /);
  });

  it('stop serving when the command is killed', async () => {
    for (const host of hosts) await host.run('cd /var/lib/slipway/data/fleet && rm -rf rootfs .toc.gz');
    const running = startSlipway(command(), { root });
    let over = false;
    const ended = running.ended.finally(() => {
      over = true;
    });
    while (!over && !(await anyServes())) {
      // asked again at once: they serve for less than a second
    }
    running.kill('SIGKILL');
    expect((await ended).signal).toBe('SIGKILL');
    await until(async () => !(await anyServes()), 100);
  }, 120_000);
});
