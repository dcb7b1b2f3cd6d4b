import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkStore } from '../../../src/store/check/check.js';
import { Store } from '../../../src/store/store.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { type DockerRegistry, startDockerRegistry } from '../registry/support/docker-registry.js';
import { must, run } from '../registry/support/programs.js';

const home = tempDirectory();
const template = join(home, 'template');
/** A file system of its own, whose room is set for each test. */
const root = join(home, 'store');
const context = join(home, 'context');
/** Its own command may be what meets the full disk, and fails in its own way. */
const running = join(home, 'running');
const archive = join(home, 'loaded.tar');
let registry: DockerRegistry;
const pulled = (): string => `${registry.address}/full/base:v1`;

const remount = (options: string): Promise<string> => must('mount', ['-o', `remount,${options}`, root]);

beforeAll(async () => {
  registry = await startDockerRegistry();
  writeTree(context, {
    Kubefile: 'FROM base:v1\nCOPY own own\nCOPY own d/copy\n',
    own: 'own'.repeat(9000),
  });
  writeTree(running, { Kubefile: 'FROM base:v1\nRUN mkdir d && cp file d/copy && ls > list\n' });
  const other = join(home, 'other');
  const big = writeTree(join(home, 'big'), { Kubefile: 'FROM scratch\nCOPY a a\nCOPY small small\n', small: 'small' });
  writeFileSync(join(big, 'a'), randomBytes(700_000));
  await mustSlipway(['build', '-q', '-t', pulled(), big], { root: other });
  await mustSlipway(['push', '-q', pulled()], { root: other });
  await mustSlipway(['tag', pulled(), 'loaded:v1'], { root: other });
  await mustSlipway(['save', '-o', archive, 'loaded:v1'], { root: other });
  const base = writeTree(join(home, 'base'), {
    Kubefile: 'FROM scratch\nCOPY file file\nRUN cat file > twice\n',
    file: 'x'.repeat(50_000),
  });
  await mustSlipway(['build', '-q', '-t', 'base:v1', base], { root: template });
  mkdirSync(root);
}, 120_000);
afterEach(async () => {
  await run('umount', ['-l', root]);
});
afterAll(() => registry.close());

/** A copy of the template with room for this much more. */
async function storeWithRoom(room: { readonly inodes: number } | { readonly pages: number }): Promise<void> {
  await run('umount', ['-l', root]);
  await must('mount', ['-t', 'tmpfs', '-o', 'size=200m,nr_inodes=100000', 'tmpfs', root]);
  await must('cp', ['-a', `${template}/.`, root]);
  const { blocks, bfree, bsize, files, ffree } = statfsSync(root);
  if ('inodes' in room) await remount(`nr_inodes=${files - ffree + room.inodes}`);
  else await remount(`size=${(blocks - bfree + room.pages) * bsize}`);
}

/** SLIPWAY_FULL_DISK=every tries each step where the code is most likely to be at another point; that takes long. */
const NEAR = process.env.SLIPWAY_FULL_DISK === 'every' ? 24 : 3;

/** One by one at first, then ever wider steps. */
function* growing(): Generator<number> {
  for (let room = 0; room < 20_000; room += room < NEAR ? 1 : Math.ceil(room / 2)) yield room;
}

const commands: readonly (readonly [string, () => readonly string[]])[] = [
  ['build', () => ['build', '-t', 'built:v1', context]],
  ['build with RUN', () => ['build', '-t', 'built:v1', running]],
  ['pull', () => ['pull', pulled()]],
  ['load', () => ['load', '-i', archive]],
  ['tag', () => ['tag', 'base:v1', 'other:v1']],
  ['rmi', () => ['rmi', '-f', 'base:v1']],
  ['mount', () => ['mount', 'base:v1']],
];

describe.each(commands)('%s on a full disk', (name, args) => {
  it.each(['inodes', 'pages'] as const)(
    'says so at whatever point, and leaves nothing half written: %s',
    async (kind) => {
      let failures = 0;
      for (const room of growing()) {
        await storeWithRoom(kind === 'inodes' ? { inodes: room } : { pages: room });
        const { code, stderr } = await slipway([...args(), '--json', '--progress', 'none'], { root });
        const what = `room for ${room} ${kind}: ${stderr}`;
        await remount('size=200m,nr_inodes=100000');
        if (code !== 0) {
          failures++;
          const { error } = JSON.parse(stderr.trim().split('\n').at(-1) ?? '') as { error: Record<string, string> };
          if (name === 'build with RUN') expect(error.code, what).toMatch(/^E_(?:NO_SPACE|RUN_FAILED|MOUNT)$/);
          else
            expect(error, what).toMatchObject({ code: 'E_NO_SPACE', hint: expect.stringContaining('free some space') });
        }
        const store = await Store.open(root);
        expect((await checkStore(store, { content: true })).report.damaged, what).toEqual([]);
        await store.close();
        if (code === 0) break;
      }
      expect(failures).toBeGreaterThan(0);
      // There is space again: what failed is done, and nothing is left of before.
      await storeWithRoom(kind === 'inodes' ? { inodes: 3 } : { pages: 1 });
      await slipway(args(), { root });
      await remount('size=200m,nr_inodes=100000');
      await mustSlipway(args(), { root });
      await mustSlipway(['umount', '--all'], { root });
      expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    },
    600_000,
  );
});

it('a prune frees a disk that is full to the last byte and the last inode', async () => {
  await storeWithRoom({ inodes: 100 });
  await mustSlipway(['build', '-q', '-t', 'built:v1', context], { root });
  await mustSlipway(['rmi', 'built:v1'], { root });
  const { blocks, bfree, bsize, files, ffree } = statfsSync(root);
  await remount(`size=${(blocks - bfree) * bsize},nr_inodes=${files - ffree}`);
  expect(await mustSlipway(['prune', '--build-cache'], { root })).toMatch(/^Freed: \d/);
  await mustSlipway(['tag', 'base:v1', 'other:v1'], { root });
  expect((await slipway(['store', 'check'], { root })).code).toBe(0);
});

it('what a killed command left is swept when it is what fills the disk', async () => {
  await storeWithRoom({ inodes: 100 });
  writeTree(join(root, 'tmp/0123456789abcdef'), { '0-blob': 'x'.repeat(9000), lock: '' });
  const { blocks, bfree, bsize, files, ffree } = statfsSync(root);
  await remount(`size=${(blocks - bfree) * bsize},nr_inodes=${files - ffree}`);
  await mustSlipway(['tag', 'base:v1', 'other:v1'], { root });
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
  rmSync(join(root, 'tmp'), { recursive: true });
});
