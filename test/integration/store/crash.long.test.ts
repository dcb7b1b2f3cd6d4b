import { randomBytes, randomInt } from 'node:crypto';
import { readdirSync, watch, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CheckReport } from '../../../src/store/check/report.js';
import { randomOf } from '../../support/random.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';

/** How many commands are killed; by hand 200 and more. */
const RUNS = Number(process.env.SLIPWAY_CRASH_RUNS ?? 10);
/** The same seed chooses the same commands and moments, as far as the machine is as fast. */
const SEED = Number(process.env.SLIPWAY_CRASH_SEED ?? randomInt(2 ** 31));

const home = tempDirectory();
const root = join(home, 'store');
const context = join(home, 'context');
const archive = join(home, 'loaded.tar');
let registry: DockerRegistry;

const ok = (...args: string[]): Promise<string> => mustSlipway(args, { root });

interface Crashing {
  /** Brings the store into a state in which the command has everything to do. */
  prepare(): Promise<void>;
  readonly args: readonly string[];
}

const changeContext = (): void => {
  writeFileSync(join(context, 'changed'), randomBytes(300_000));
};
const pulledName = (): string => `${registry.address}/crash/base:v1`;

const commands: Readonly<Record<string, () => Crashing>> = {
  build: () => ({
    async prepare() {
      changeContext();
    },
    args: ['build', '-t', 'built:v1', context],
  }),
  pull: () => ({
    async prepare() {
      await slipway(['rmi', '-f', pulledName()], { root });
      await ok('prune', '--build-cache');
    },
    args: ['pull', pulledName()],
  }),
  load: () => ({
    async prepare() {
      await slipway(['rmi', '-f', 'loaded:v1', 'loaded:v2'], { root });
    },
    args: ['load', '-i', archive],
  }),
  rmi: () => ({
    async prepare() {
      await ok('load', '-i', archive);
    },
    args: ['rmi', 'loaded:v1', 'loaded:v2'],
  }),
  prune: () => ({
    async prepare() {
      changeContext();
      await ok('build', '-q', '-t', 'built:v1', context);
      changeContext();
      await ok('build', '-q', '-t', 'built:v1', context);
    },
    args: ['prune', '--build-cache'],
  }),
};

beforeAll(async () => {
  registry = await startDockerRegistry();
  const files = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`tree/${n % 9}/${n}`, `${n} `.repeat(300)]));
  writeTree(context, {
    ...files,
    Kubefile:
      'FROM scratch\nCOPY tree tree\nCOPY changed changed\nRUN cp -r tree copy && rm -r tree/1\nRUN rm -r copy/2\n',
  });
  const other = join(home, 'other');
  await mkdir(join(home, 'big'), { recursive: true });
  writeTree(join(home, 'big'), { Kubefile: 'FROM scratch\nCOPY a a\nCOPY b b\nCOPY tree tree\n', ...files });
  for (const name of ['a', 'b']) writeFileSync(join(home, 'big', name), randomBytes(12_000_000));
  await mustSlipway(['build', '-q', '-t', pulledName(), join(home, 'big')], { root: other });
  await mustSlipway(['push', '-q', pulledName()], { root: other });
  writeFileSync(join(home, 'big', 'b'), randomBytes(1_000_000));
  await mustSlipway(['build', '-q', '-t', 'loaded:v2', join(home, 'big')], { root: other });
  await mustSlipway(['tag', pulledName(), 'loaded:v1'], { root: other });
  await mustSlipway(['save', '-o', archive, 'loaded:v1', 'loaded:v2'], { root: other });
}, 120_000);
afterAll(() => registry.close());

it(
  `whatever is killed at whatever moment leaves a store that is whole (${RUNS} moments, seed ${SEED})`,
  async () => {
    const random = randomOf(SEED);
    const names = Object.keys(commands);
    const durations = new Map<string, number>();
    const tried: Record<string, { killed: number; ended: number }> = {};
    for (let index = 0; index < RUNS; index++) {
      const name = names[index % names.length] ?? '';
      const { prepare, args } = commands[name]?.() ?? { prepare: async () => {}, args: [] };
      let longest = durations.get(name);
      if (longest === undefined) {
        await prepare();
        longest = (await runKilled(args)).worked;
        durations.set(name, longest);
      }
      await prepare();
      const moment = random.next() * longest;
      const what = `run ${index}: ${name}, killed after ${Math.round(moment)} of ${Math.round(longest)} ms of writing (seed ${SEED})`;
      const { killed, worked } = await runKilled(args, moment);
      const count = tried[name] ?? { killed: 0, ended: 0 };
      tried[name] = count;
      count[killed ? 'killed' : 'ended']++;
      if (!killed) durations.set(name, worked);

      const checked = await slipway(['store', 'check', '--content', '--json'], { root });
      expect((JSON.parse(checked.stdout) as CheckReport).damaged, what).toEqual([]);
      expect(checked.code, what).toBe(0);
      // A command that writes sweeps; what a download has begun stays for the next one.
      await ok('tag', (await anyName()) ?? '', 'swept:v1');
      expect(
        readdirSync(join(root, 'tmp')).filter((entry) => !entry.startsWith('partial-')),
        what,
      ).toEqual([]);
    }
    // Whatever was killed can be done again.
    for (const name of names) await ok(...(commands[name]?.().args ?? []));
    expect((await slipway(['store', 'check', '--content'], { root })).code).toBe(0);
    process.stdout.write(`${RUNS} moments tried (seed ${SEED}), inconsistencies: 0 ${JSON.stringify(tried)}\n`);
  },
  RUNS * 60_000,
);

/**
 * Runs a command and kills it that many milliseconds after it has begun to write to the store: what is before is only the start of Node.
 * @returns how long it wrote when it was not killed.
 */
async function runKilled(
  args: readonly string[],
  moment?: number,
): Promise<{ readonly killed: boolean; readonly worked: number }> {
  await mkdir(join(root, 'tmp'), { recursive: true });
  let begun = 0;
  let timer: NodeJS.Timeout | undefined;
  const watcher = watch(join(root, 'tmp'), () => {
    if (begun > 0) return;
    begun = performance.now();
    if (moment !== undefined) timer = setTimeout(() => running.kill('SIGKILL'), moment);
  });
  const running = startSlipway(args, { root });
  const { signal, code, stderr } = await running.ended;
  clearTimeout(timer);
  watcher.close();
  if (signal === null) expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
  return { killed: signal !== null, worked: performance.now() - begun };
}

/** An image of the store; one is built when there is none. */
async function anyName(): Promise<string | undefined> {
  const images = JSON.parse(await ok('images', '--json')) as { name: string }[];
  if (images[0] !== undefined) return images[0].name;
  await ok('build', '-q', '-t', 'built:v1', context);
  return 'built:v1';
}
