// `run` killed at random moments, and run again: the cluster is up, and what must not be done twice was not.
// SLIPWAY_KILL_RUNS=20 tries twenty moments and prints the table; SLIPWAY_KILL_SEED repeats them.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBaseImage } from '../lab/cluster-image.js';
import { type LabHost, labAvailable, startLabHost, stopLabHosts } from '../lab/lab.js';
import { HOST_SNAPSHOT } from '../lab/snapshot.js';
import { mustSlipway, slipway, startSlipway } from '../support/slipway.js';
import { tempDirectory } from '../support/temp.js';

const lab = labAvailable();
const home = tempDirectory('slipway-killed-');
const root = join(home, 'store');
const RUNS = Number(process.env.SLIPWAY_KILL_RUNS ?? 1);
const SEED = Number(process.env.SLIPWAY_KILL_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** About how long a run takes here: moments are chosen within it. */
const USUAL_MS = Number(process.env.SLIPWAY_KILL_WITHIN ?? 75) * 1000;

let master: LabHost;
let worker: LabHost;
const before = new Map<string, string>();

const run = (): string[] => [
  ...['run', 'site:v1', '--cluster', 'killed', '--masters', master.ip, '--nodes', worker.ip],
  ...['-i', master.keyFile, '--host-key-check=off'],
];

/** Numbers between 0 and 1 that depend on the seed only. */
function* randoms(seed: number): Generator<number, never> {
  let state = seed >>> 0;
  for (;;) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

/** How often a line is in the logs of a host, of all runs together. */
function timesLogged(host: LabHost, text: string): number {
  return readFileSync(join(root, 'data/killed/logs', `${host.ip}.log`), 'utf8').split(text).length - 1;
}

describe.skipIf(!lab.ok).sequential('a run that is killed', () => {
  beforeAll(async () => {
    master = await startLabHost('kill-m1', '10.99.0.158');
    worker = await startLabHost('kill-n1', '10.99.0.159');
    for (const host of [master, worker]) before.set(host.name, await host.run(HOST_SNAPSHOT));
    mkdirSync(root, { recursive: true });
    await buildBaseImage(root, 'base:v1.20.2');
    const context = join(home, 'context');
    mkdirSync(context);
    writeFileSync(
      join(context, 'Kubefile'),
      'FROM base:v1.20.2\nCMD kubectl create configmap launched-$(date +%s%N) && echo launched\n',
    );
    await mustSlipway(['build', '-t', 'site:v1', context], { root });
  });

  afterAll(stopLabHosts);

  it(`goes on at whatever moment (${RUNS} of them, seed ${SEED})`, async () => {
    console.log('killed after  after phase       again   init  join  launched');
    const random = randoms(SEED);
    for (let round = 0; round < RUNS; round++) {
      const moment = Math.round(random.next().value * USUAL_MS);
      const began = Date.now();
      const running = startSlipway(run(), { root });
      const timer = setTimeout(() => running.kill('SIGKILL'), moment);
      await running.ended;
      clearTimeout(timer);
      const took = Date.now() - began;
      const phase = [...running.output().matchAll(/^\[([a-z-]+)\]/gm)].at(-1)?.[1] ?? 'before any';
      const resumed = Date.now();
      const { code, stdout, stderr } = await slipway(run(), { root });
      const where = `seed ${SEED}, killed after ${took} ms in ${phase}: ${stderr}`;
      expect(code, where).toBe(0);
      expect(stdout.match(/ Ready\b/g), where).toHaveLength(2);
      const times = {
        init: timesLogged(master, 'control-plane has initialized successfully'),
        join: timesLogged(worker, 'This node has joined the cluster'),
        launched: Number(
          await master.run('KUBECONFIG=/etc/kubernetes/admin.conf kubectl get cm -o name | grep -c /launched-; true'),
        ),
      };
      // init that was cut off at its last breath is taken away and begun anew: nothing had been built on it
      // (one whose last words were lost with us had done its work all the same: the nodes are Ready)
      expect(times.init, where).toBeGreaterThan(phase === 'mirrors' ? -1 : 0);
      expect(times.init, where).toBeLessThan(phase === 'mirrors' ? 3 : 2);
      expect(times.join, where).toBeGreaterThan(phase === 'init' ? -1 : 0);
      expect(times.join, where).toBeLessThan(3);
      // what was launched, and killed before that could be noted, is launched again
      expect(times.launched, where).toBeGreaterThan(0);
      expect(times.launched, where).toBeLessThan(phase === 'kubeconfig' || phase === 'launch' ? 3 : 2);
      expect((await slipway(run(), { root })).stdout, where).toContain(': 0 steps done');
      console.log(
        [
          `${(took / 1000).toFixed(1)} s`.padEnd(12),
          phase.padEnd(16),
          `${Math.round((Date.now() - resumed) / 1000)} s`.padEnd(6),
          String(times.init).padEnd(4),
          String(times.join).padEnd(4),
          times.launched,
        ].join('  '),
      );
      await mustSlipway(['reset', '--cluster', 'killed', '--force', '-i', master.keyFile, '--host-key-check=off'], {
        root,
      });
      for (const host of [master, worker]) expect(await host.run(HOST_SNAPSHOT), where).toBe(before.get(host.name));
    }
  }, 3_600_000);
});
