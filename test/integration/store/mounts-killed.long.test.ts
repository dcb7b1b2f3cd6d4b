import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fuseObstacle } from '../../../src/layers/fuse-overlay.js';
import { MAX_LOWER } from '../../../src/layers/overlay.js';
import { dir, file, putLayeredImage, whiteout } from '../../support/layered-image.js';
import { mustSlipway, slipway, startSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';

/** How many moments are tried of each command; by hand 50 and more. */
const RUNS = Number(process.env.SLIPWAY_CRASH_RUNS ?? 2);

const home = tempDirectory();
const root = join(home, 'store');
const place = join(home, 'place');
const noFuse = await fuseObstacle();
if (noFuse !== undefined) process.stdout.write(`fuse-overlayfs is not tried: ${noFuse}\n`);
const ok = (...args: string[]): Promise<string> => mustSlipway(args, { root });

beforeAll(async () => {
  await putLayeredImage(root, 'few:1', [
    [dir('d'), ...Array.from({ length: 200 }, (_, index) => file(`d/${String(index).padStart(3, '0')}`, `${index}`))],
    [dir('d'), whiteout('d/000'), whiteout('d/nothing')],
    [file('e/f', '')],
  ]);
  // So many that some are merged first.
  const layers = Array.from({ length: MAX_LOWER + 2 }, (_, index) => [dir('d'), file(`d/${index}`, '')]);
  await putLayeredImage(root, 'many:1', [...layers, [dir('d'), whiteout('d/0')]]);
  await ok('mount', 'many:1');
  await ok('umount', '--all');
}, 600_000);
afterAll(() => slipway(['umount', '--all', '--lazy'], { root }));

async function expectClean(): Promise<void> {
  await ok('umount', '--all');
  await ok('tag', 'few:1', 'few:1'); // whoever writes sweeps
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(home);
  expect(readdirSync(join(root, 'data/mounts'))).toEqual([]);
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
}

/** Runs a command and kills it after so many milliseconds. @returns how long it took when it was not. */
async function killed(args: readonly string[], after?: number): Promise<number> {
  const started = performance.now();
  const running = startSlipway(args, { root });
  if (after !== undefined) {
    await Promise.race([sleep(after), running.ended]);
    running.kill('SIGKILL');
  }
  await running.ended;
  return performance.now() - started;
}

const cases: [string, string[]][] = [
  ['overlay', ['few:1']],
  ['overlay', ['many:1', place]],
  ...(noFuse === undefined ? ([['fuse', ['few:1', place]]] as [string, string[]][]) : []),
  ['copy', ['few:1']],
  ['copy', ['few:1', place]],
];

it.each(cases)(
  'by %s %j, killed at any moment, leaves nothing, and can be done again',
  async (kind, what) => {
    const mount = ['mount', '--as', kind, ...what];
    const size = what[0] === 'few:1' ? 199 : MAX_LOWER + 1;
    let at = (await ok(...mount)).trim();
    const longest = { umount: await killed(['umount', at]), mount: await killed(mount) };
    await ok('umount', at);
    for (let run = 0; run < RUNS; run++) {
      const moments = { mount: randomInt(Math.ceil(longest.mount)), umount: randomInt(Math.ceil(longest.umount)) };
      const tried = `${JSON.stringify(moments)} of ${JSON.stringify(longest)} ms`;
      await killed(mount, moments.mount);
      at = (await ok(...mount)).trim();
      expect(readdirSync(join(at, 'd')), tried).toHaveLength(size);
      await killed(['umount', at], moments.umount);
      await expectClean();
      await killed(mount, moments.mount);
      await expectClean();
      if (run % 2 === 0) await ok('prune'); // another time the layers are there already
    }
    await ok(...mount);
    await expectClean();
  },
  600_000,
);
