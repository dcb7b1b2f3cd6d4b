import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { removeTree } from '../../../src/base/remove-tree.js';
import { makeNode } from '../../../src/layers/make-node.js';
import { compileFaults, type FaultAction, faultEnvironment, slipwayWithFaults } from '../../support/faults/faults.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';

const home = tempDirectory();
let library = '';
let places = 0;
const before = { ...process.env };

beforeAll(() => {
  library = compileFaults(home);
});
afterEach(() => {
  for (const key of Object.keys(process.env)) if (!(key in before)) delete process.env[key];
});

/** A directory below which all calls of these kinds fail, of programs that are started from now on. */
function failing(kinds: string, action: FaultAction): string {
  const dir = writeTree(join(home, `tree-${places}`), { 'a/b': 'x', c: 'x' });
  const plan = { below: [dir], kinds, at: 1, action, ever: true };
  Object.assign(process.env, faultEnvironment(library, join(home, `notes-${places++}`), plan));
  return dir;
}

it.each([
  ['d', 'EACCES', 'E_PERMISSION'],
  ['d', 'EPERM', 'E_PERMISSION'],
  ['d', 'EROFS', 'E_PERMISSION'],
  ['d', 'EIO', 'E_SYSTEM'],
  ['d', 'ENOSPC', 'E_NO_SPACE'], // as btrfs does
  ['d', 'EBUSY', 'E_SYSTEM'],
  // It tries to remove the directory that it cannot open, and tells only what comes of that.
  ['o', 'EMFILE', 'E_SYSTEM'],
  ['o', 'EACCES', 'E_PERMISSION'],
] as const)('what rm says of its error decides the code (%s, %s: %s)', async (kinds, action, code) => {
  const dir = failing(kinds, action);
  await expect(removeTree(dir)).rejects.toMatchObject({ code });
  expect(existsSync(dir)).toBe(true);
});

it.each([
  ['EPERM', 'E_PERMISSION'],
  ['EDQUOT', 'E_NO_SPACE'],
  ['EIO', 'E_SYSTEM'],
] as const)('what mknod says of its error decides the code (%s: %s)', (action, code) => {
  const dir = failing('c', action);
  expect(() => makeNode(join(dir, 'fifo'), 'fifo')).toThrow(expect.objectContaining({ code }));
});

it.each([
  ['EDQUOT', 'E_NO_SPACE'],
  ['EIO', 'E_SYSTEM'],
  ['EROFS', 'E_PERMISSION'],
] as const)('what mkfifo says of its error decides the code of a RUN (%s: %s)', async (action, code) => {
  const context = writeTree(join(home, 'context'), { Kubefile: 'FROM scratch\nRUN x\n' });
  const build = (at: number) => {
    const root = join(home, `store-${places}`);
    const plan = { below: [root], kinds: 'c', at, action };
    const args = ['build', '--json', '--progress', 'none', context];
    return slipwayWithFaults(library, join(home, `notes-${places++}`), plan, args, { root });
  };
  const { calls } = await build(0);
  const { hit, stderr } = await build(calls.find(({ name }) => name === 'mkfifo')?.number ?? 0);
  expect(hit?.name).toBe('mkfifo');
  expect(JSON.parse(stderr)).toMatchObject({ error: { code } });
});
