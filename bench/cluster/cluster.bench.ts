// npm run bench:cluster: what Slipway adds to what it takes to make a cluster, as a ratio of the same steps typed by hand (by-hand.sh), on
// real hosts that are new each time; and what a run that finds nothing to do takes. As root on Debian; half an hour. Wants a machine that
// does nothing else.
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../../test/lab/cluster-image.js';
import { type LabHost, startLabHost, stopLabHosts } from '../../test/lab/lab.js';
import { mustSlipway } from '../../test/support/slipway.js';
import { tempDirectory } from '../../test/support/temp.js';

const exec = promisify(execFile);
const BY_HAND = fileURLToPath(new URL('by-hand.sh', import.meta.url));
const IMAGE = 'base:v1.20.2';
const ROUNDS = Number(process.env.SLIPWAY_BENCH_ROUNDS ?? 3);

const home = tempDirectory('slipway-bench-');
const root = join(home, 'store');
const rootfs = join(home, 'rootfs');

beforeAll(async () => {
  mkdirSync(root, { recursive: true });
  await buildBaseImage(root, IMAGE);
  await mustSlipway(['mount', IMAGE, rootfs], { root });
});

afterAll(async () => {
  await mustSlipway(['umount', rootfs], { root });
  await stopLabHosts();
});

/** Hosts that have just been switched on for the first time, and have come to rest. */
async function newHosts(count: number): Promise<Hosts> {
  await stopLabHosts();
  const start = (index: number) => startLabHost(`bench-${index}`, `10.99.0.${190 + index}`);
  const first = await start(0);
  const others = await Promise.all(Array.from({ length: count - 1 }, (_, index) => start(index + 1)));
  for (const host of [first, ...others]) await host.run('systemctl is-system-running --wait || true');
  return [first, ...others];
}

type Hosts = readonly [LabHost, ...LabHost[]];

// Hosts that are new each time have new keys.
const reach = ([{ keyFile }]: Hosts): string[] => ['--cluster', 'bench', '-i', keyFile, '--host-key-check=off'];

function run(hosts: Hosts): Promise<string> {
  const [master, ...nodes] = hosts;
  const addresses = ['--masters', master.ip, '--nodes', nodes.map(({ ip }) => ip).join(',')];
  return mustSlipway(['run', IMAGE, ...addresses, ...reach(hosts)], { root });
}

const reset = (hosts: Hosts): Promise<string> => mustSlipway(['reset', '--force', ...reach(hosts)], { root });

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const list = (values: readonly number[]): string => values.map((value) => value.toFixed(2)).join(' ');

describe.sequential('a cluster', () => {
  it('of a master and two nodes, against the same steps typed by hand', { timeout: 0 }, async () => {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const hosts = await newHosts(3);
      ours.push(await seconds(() => run(hosts)));
      await reset(hosts);
      const [master, ...nodes] = await newHosts(3);
      const addresses = [master, ...nodes].map(({ ip }) => ip);
      theirs.push(await seconds(() => exec('bash', [BY_HAND, rootfs, master.keyFile, ...addresses])));
      console.log(`round ${round + 1}: ${list([ours[round] ?? 0])} s / ${list([theirs[round] ?? 0])} s`);
    }
    const ratios = ours.map((value, index) => value / (theirs[index] ?? Number.NaN));
    console.log(
      `run / by hand (1+2 hosts), ≤ 1.10: ${median(ratios).toFixed(2)} (${list(ratios)}); ${list(ours)} s / ${list(theirs)} s`,
    );
    expect(ratios).toHaveLength(ROUNDS);
  });

  it('of a master and four nodes, again, when nothing has changed', { timeout: 0 }, async () => {
    const hosts = await newHosts(5);
    await run(hosts);
    const again: number[] = [];
    for (let round = 0; round < 7; round++) {
      again.push(
        await seconds(async () => {
          expect(await run(hosts)).toContain(': 0 steps done');
        }),
      );
    }
    console.log(`run again, nothing changed (1+4 hosts), ≤ 2 s: ${median(again).toFixed(2)} s (${list(again)})`);
    await reset(hosts);
  });
});
