import { randomBytes, randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Descriptor } from '../../../src/image/oci.js';
import { mountPointsBelow } from '../../../src/layers/mount-table.js';
import { pushImage } from '../../../src/registry/push.js';
import { readImage } from '../../../src/store/local-image.js';
import { randomOf } from '../../support/random.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { type Fault, faultProxy, type SeenRequest } from '../registry/support/fault-proxy.js';
import { tagSmallImage, tempStore } from '../registry/support/images.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
let registry: DockerRegistry;
let big: Descriptor;
let stores = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
  const origin = await tempStore();
  await tagSmallImage(origin.store, 'x:1', { layers: [{ big: randomBytes(6_000_000) }, { small: 'small' }] });
  await pushImage(origin.store, 'x:1', { to: `${registry.address}/x:1` });
  big = (await readImage(origin.store, 'x:1')).manifest.layers[0] as Descriptor;
  await origin.close();
});
afterAll(() => registry.close());

const freshRoot = (): string => join(home, `store-${stores++}`);
const isBig = ({ method, path }: SeenRequest): boolean => method === 'GET' && path.endsWith(big.digest);
/** Slow enough that whoever comes second finds the first at work. */
const SLOW: Fault = { drip: 8192 };

/** What is wrong at the beginning is refused before anything is written. */
const damagedNearItsEnd = (body: Buffer): Buffer =>
  Buffer.from(body.map((byte, at) => (at === body.length - 10_000 ? byte ^ 1 : byte)));

async function expectWhole(root: string): Promise<void> {
  const { code, stdout } = await slipway(['store', 'check', '--content'], { root });
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('all is well') });
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
}

describe('processes that pull the same blob', () => {
  it('share the work: it travels once', async () => {
    const root = freshRoot();
    const proxy = await faultProxy(registry.address, (request) => (isBig(request) ? SLOW : undefined));
    const name = `${proxy.address}/x:1`;
    const ended = await Promise.all([1, 2, 3].map(() => slipway(['pull', name], { root })));
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0]);
    expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(1);
    await expectWhole(root);
  });

  it('do not wait for one that was killed, and go on where it was', async () => {
    const root = freshRoot();
    const proxy = await faultProxy(registry.address, (request) => (isBig(request) ? SLOW : undefined));
    const name = `${proxy.address}/x:1`;
    const first = startSlipway(['pull', name], { root });
    const content = join(root, 'tmp', `partial-${big.digest.slice('sha256:'.length)}`, 'content');
    await expect.poll(() => sizeOf(content), { timeout: 60_000 }).toBeGreaterThan(200_000);
    const second = startSlipway(['pull', name], { root });
    first.kill('SIGKILL');
    await first.ended;
    expect((await second.ended).code).toBe(0);
    const [, request] = proxy.seen('GET', new RegExp(big.digest));
    expect(Number(/^bytes=(\d+)-/.exec(request?.headers.range ?? '')?.[1])).toBeGreaterThanOrEqual(200_000);
    await expectWhole(root);
  });

  it('take over from one that fails', async () => {
    const root = freshRoot();
    const proxy = await faultProxy(registry.address, (request) => (isBig(request) ? SLOW : undefined));
    const broken = await faultProxy(registry.address, (request) =>
      isBig(request) ? { ...SLOW, body: damagedNearItsEnd } : undefined,
    );
    const failing = startSlipway(['pull', `${broken.address}/x:1`], { root });
    const content = join(root, 'tmp', `partial-${big.digest.slice('sha256:'.length)}`, 'content');
    await expect.poll(() => sizeOf(content), { timeout: 60_000 }).toBeGreaterThan(0);
    const waiting = await slipway(['pull', `${proxy.address}/x:1`], { root });
    expect((await failing.ended).stderr).toContain('has the digest');
    expect(waiting.code).toBe(0);
    await expectWhole(root);
  });
});

it('eight processes that build, pull, push, load, remove and prune at once disturb each other in nothing', async () => {
  const root = freshRoot();
  const files = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`tree/${n}`, `content ${n}`.repeat(90)]));
  const context = (name: string): string =>
    writeTree(join(home, name), {
      Kubefile: `FROM scratch\nCOPY tree tree\nRUN echo ${name} > name\nCOPY own own\n`,
      ...files,
      own: name,
    });
  await mustSlipway(['build', '-q', '-t', 'base:v1', context('base')], { root });
  const archive = join(home, 'base.tar');
  await mustSlipway(['save', '-o', archive, 'base:v1'], { root });
  const pulled = `${registry.address}/x:1`;
  const lanes: readonly (readonly (readonly string[])[])[] = [
    [
      ['build', '-q', '-t', 'a:v1', context('a')],
      ['build', '-q', '--no-cache', '-t', 'a:v2', context('a')],
    ],
    [
      ['build', '-q', '-t', 'b:v1', context('b')],
      ['push', '-q', 'b:v1', `${registry.address}/b:v1`],
    ],
    [
      ['pull', '-q', pulled],
      ['tag', pulled, 'kept:v1'],
      ['inspect', 'kept:v1'],
    ],
    [
      ['pull', '-q', pulled],
      ['push', '-q', 'base:v1', `${registry.address}/base:v1`],
    ],
    [
      ['load', '-i', archive],
      ['build', '-q', '-t', 'c:v1', context('a')],
      ['rmi', 'c:v1'],
    ],
    [
      ['tag', 'base:v1', 'd:v1'],
      ['rmi', 'd:v1'],
      ['tag', 'base:v1', 'd:v2'],
      ['rmi', 'd:v2'],
    ],
    [['prune', '--build-cache'], ['store', 'check'], ['prune']],
    [['du'], ['images'], ['prune', '--build-cache', '--dry-run'], ['prune', '--build-cache']],
  ];
  const failures: string[] = [];
  await Promise.all(
    lanes.map(async (lane) => {
      for (const args of lane) {
        const { code, stdout, stderr } = await slipway([...args], { root });
        // A prune may find no moment at which nobody is at work, and says so.
        if (code !== 0 && !(args[0] === 'prune' && stderr.includes('another process uses the store')))
          failures.push(`${args.join(' ')}: ${code}\n${stdout}${stderr}`);
      }
    }),
  );
  expect(failures).toEqual([]);
  const images = JSON.parse(await mustSlipway(['images', '--json'], { root })) as { name: string; type: string }[];
  expect(images.map(({ name }) => name).sort()).toEqual(['a:v1', 'a:v2', 'b:v1', 'base:v1', 'kept:v1', pulled].sort());
  await expectWhole(root);
  for (const { name } of images) await mustSlipway(['save', '-o', join(home, 'whole.tar'), name], { root });
});

/** How often the crowd with accidents comes together; by hand 20. */
const ROUNDS = Number(process.env.SLIPWAY_CROWD_ROUNDS ?? 1);
/** The same seed chooses the same commands and moments, as far as the machine is as fast. */
const SEED = Number(process.env.SLIPWAY_CROWD_SEED ?? randomInt(2 ** 31));

it(
  `eight processes of which some are killed disturb the others in nothing (${ROUNDS} rounds, seed ${SEED})`,
  async () => {
    const random = randomOf(SEED);
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`tree/${n}`, `content ${n}`.repeat(90)]));
    const context = (name: string): string =>
      writeTree(join(home, `killed-${name}`), {
        Kubefile: `FROM base:v1\nCOPY tree ${name}\nRUN --mount=type=cache,id=all,sharing=locked,target=/c cp -r ${name} /c/ && rm -r ${name}/1 && echo ${name} > name\n`,
        ...files,
      });
    const base = writeTree(join(home, 'killed-base'), { Kubefile: 'FROM scratch\nCOPY tree tree\n', ...files });
    const origin = freshRoot();
    await mustSlipway(['build', '-q', '-t', 'base:v1', base], { root: origin });
    const archive = join(home, 'killed-base.tar');
    await mustSlipway(['save', '-o', archive, 'base:v1'], { root: origin });
    const pulled = `${registry.address}/x:1`;
    const [a, b] = [context('a'), context('b')];
    let killed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const root = freshRoot();
      await must('cp', ['-a', origin, root]);
      const out = join(home, `out-${round}`);
      const to = (name: string): string => `${registry.address}/round-${SEED}-${round}/${name}`;
      const lanes: readonly (readonly (readonly string[])[])[] = [
        [
          ['build', '-q', '-t', 'a:v1', a],
          ['build', '-q', '--no-cache', '-t', 'a:v2', a],
        ],
        [
          ['build', '-q', '-t', 'b:v1', b],
          ['push', '-q', 'b:v1', to('b:v1')],
        ],
        [
          ['pull', '-q', pulled],
          ['tag', pulled, 'kept:v1'],
          ['save', '-o', out, 'kept:v1'],
        ],
        [
          ['pull', '-q', pulled],
          ['push', '-q', pulled, to('x:1')],
          ['inspect', pulled],
        ],
        [
          ['load', '-i', archive],
          ['build', '-q', '-t', 'c:v1', a],
          ['rmi', '-f', 'c:v1'],
        ],
        [['mount', 'base:v1'], ['mount'], ['umount', '--all'], ['mount', 'base:v1'], ['umount', '--all']],
        [['prune', '--build-cache'], ['store', 'check', '--content'], ['prune']],
        [
          ['tag', 'base:v1', 'd:v1'],
          ['rmi', '-f', 'd:v1'],
          ['prune', '--build-cache'],
          ['store', 'check'],
        ],
      ];
      const failures: string[] = [];
      await Promise.all(
        lanes.map(async (lane) => {
          for (const args of lane) {
            if (random.below(2) === 0) {
              const running = startSlipway(args, { root });
              const timer = setTimeout(() => running.kill('SIGKILL'), random.below(2500));
              killed += Number((await running.ended).signal === 'SIGKILL');
              clearTimeout(timer);
            }
            const { code, stdout, stderr } = await slipway(args, { root });
            // A prune may find no moment at which nobody is at work, and says so.
            if (code !== 0 && !(args[0] === 'prune' && stderr.includes('another process uses the store')))
              failures.push(`round ${round}: ${args.join(' ')}: ${code}\n${stdout}${stderr}`);
          }
        }),
      );
      expect(failures).toEqual([]);
      const images = JSON.parse(await mustSlipway(['images', '--json'], { root })) as { name: string }[];
      expect(images.map(({ name }) => name).sort()).toEqual(
        ['a:v1', 'a:v2', 'b:v1', 'base:v1', 'kept:v1', pulled].sort(),
      );
      await mustSlipway(['tag', 'base:v1', 'swept:v1'], { root });
      await expectWhole(root);
      expect(await mountPointsBelow(root)).toEqual([]);
      await must('rm', ['-rf', root, out]);
    }
    process.stdout.write(`crowd: ${ROUNDS} rounds of 8 (seed ${SEED}), ${killed} killed, failures: 0\n`);
  },
  ROUNDS * 300_000,
);

it('a download that nobody continues is swept after a day, a younger one by a prune', async () => {
  const root = freshRoot();
  await mustSlipway(['images'], { root });
  const { utimesSync, existsSync } = await import('node:fs');
  const make = (letter: string, age: number): string => {
    const dir = join(root, 'tmp', `partial-${letter.repeat(64)}`);
    writeTree(dir, { content: 'x'.repeat(1000), lock: '' });
    const time = Date.now() / 1000 - age;
    utimesSync(join(dir, 'content'), time, time);
    return dir;
  };
  const [old, young] = [make('a', 25 * 3600), make('b', 3600)];
  await mustSlipway(['load', '-i', await smallArchive()], { root });
  expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
  await mustSlipway(['prune'], { root });
  expect(existsSync(young)).toBe(false);
});

async function smallArchive(): Promise<string> {
  const root = freshRoot();
  const file = join(home, 'small.tar');
  const context = writeTree(join(home, 'small'), { Kubefile: 'FROM scratch\nCOPY own own\n', own: 'own' });
  await mustSlipway(['build', '-q', '-t', 'small:v1', context], { root });
  await mustSlipway(['save', '-o', file, 'small:v1'], { root });
  return file;
}

function sizeOf(file: string): number {
  try {
    return readFileSync(file).byteLength;
  } catch {
    return 0;
  }
}
