import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { removeTree } from '../../../src/base/remove-tree.js';
import { compileFaults, type FaultAction, faultEnvironment } from '../../support/faults/faults.js';
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

/** Lets `rm` fail at the first call of these kinds. */
async function removed(kinds: string, action: FaultAction): Promise<string> {
  const dir = writeTree(join(home, `tree-${places}`), { 'a/b': 'x', c: 'x' });
  const notes = join(home, `notes-${places++}`);
  mkdirSync(notes);
  Object.assign(process.env, faultEnvironment(library, notes, { below: [dir], kinds, at: 1, action, ever: true }));
  const told = await removeTree(dir).then(
    () => 'done',
    ({ code }) => code as string,
  );
  expect(existsSync(dir)).toBe(told !== 'done');
  return told;
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
  expect(await removed(kinds, action)).toBe(code);
});
