import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import {
  CHANGES,
  compileFaults,
  countedCalls,
  faultEnvironment,
  slipwayWithFaults,
} from '../../support/faults/faults.js';
import { LAUNCHER, mustSlipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { writeTree } from '../../support/write-tree.js';
import { must } from '../registry/support/programs.js';

const home = tempDirectory();
const root = join(home, 'store');
let library = '';
let context = '';

beforeAll(() => {
  library = compileFaults(home);
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`tree/${n % 4}/${n}`, `content ${n}`]));
  context = writeTree(join(home, 'context'), {
    // No RUN: its programs are of the image, and runc is linked statically.
    Kubefile: 'FROM scratch\nCOPY tree tree\nCOPY tree copy\n',
    ...files,
  });
});

/** What calls and system calls have in common, whatever they are called on this processor. */
const FAMILIES: Readonly<Record<string, RegExp>> = {
  mkdir: /^mk(?:dir(?:at)?|dtemp)$/,
  rename: /^rename/,
  remove: /^(?:unlink|rmdir)/,
  write: /^p?write/,
  sync: /^f(?:data)?sync$/,
  link: /^(?:sym)?link/,
  mode: /chmod/,
  owner: /chown/,
  times: /utim/,
};
const SYSTEM_CALLS =
  '/^(mkdir|mknod|rename|unlink|rmdir|p?writev?(64)?|f(data)?sync|(sym)?link(at)?|.*chmod|.*chown|.*utim).*';

function inFamilies(names: readonly string[]): Record<string, number> {
  const counts = Object.fromEntries(Object.keys(FAMILIES).map((family) => [family, 0]));
  for (const name of names)
    for (const [family, pattern] of Object.entries(FAMILIES))
      if (pattern.test(name)) counts[family] = (counts[family] ?? 0) + 1;
  return counts;
}

/**
 * Not counted: nothing can be preloaded into the process that writes the files of a layer, as it has no environment and sees one directory only
 * (what bwrap makes for it is in memory).
 */
const CONFINED = /\/newroot\/|\/\d+-layers\/[0-9a-f]{32}\/diff\//;

/** Runs a command under strace and with the library at once: the names of what each has seen below the store. */
async function seen(
  name: string,
  ...args: string[]
): Promise<{ readonly counted: string[]; readonly tried: string[]; readonly done: string[] }> {
  const [notes, trace] = [join(home, `notes-${name}`), join(home, `trace-${name}`)];
  const environment = faultEnvironment(library, notes, { below: [root], kinds: `${CHANGES}s`, at: 0 });
  const variables = { ...environment, SLIPWAY_ROOT: root };
  const set = Object.entries(variables).flatMap(([key, value]) => ['-E', `${key}=${value}`]);
  const flags = ['-f', '-qq', '-y', '-s', '0', '-o', trace, '-e', `trace=${SYSTEM_CALLS}`, ...set];
  await must('strace', [...flags, process.execPath, LAUNCHER, ...args]);
  // `PID name(…) = 0`; a call that another thread came between is told in two lines, the second without its file.
  const lines = readFileSync(trace, 'utf8')
    .split('\n')
    .filter((line) => line.includes(root) && !CONFINED.test(line));
  const nameOf = (line: string): string => /^\d+ +(\w+)\(/.exec(line)?.[1] ?? '';
  return {
    counted: countedCalls(notes)
      .filter(({ what }) => !CONFINED.test(what))
      .map(({ name }) => name),
    tried: lines.map(nameOf),
    done: lines.filter((line) => / = \d+$/.test(line)).map(nameOf),
  };
}

it('what is preloaded counts every change of the store that the kernel sees', async () => {
  for (const [name, ...args] of [
    ['build', 'build', '-q', '-t', 'x:1', context],
    ['mount', 'mount', 'x:1'],
    ['umount', 'umount', '--all'],
    ['prune', 'prune', '-q', '--all'],
  ] as const) {
    const { counted, tried, done } = await seen(name, ...args);
    const [ours, most, least] = [inFamilies(counted), inFamilies(tried), inFamilies(done)];
    for (const family of Object.keys(FAMILIES)) {
      expect(ours[family], `${name}: ${family}`).toBeGreaterThanOrEqual(least[family] ?? 0);
      expect(ours[family], `${name}: ${family}`).toBeLessThanOrEqual(most[family] ?? 0);
    }
    expect(counted.length).toBeGreaterThan(1);
  }
});

it('a command is killed before the chosen call, and a call fails as it was chosen to', async () => {
  await mustSlipway(['build', '-q', '-t', 'x:1', context], { root });
  const tag = (number: number, plan: { action: 'kill' | 'EIO'; ever?: boolean }) =>
    slipwayWithFaults(
      library,
      join(home, `tag-${number}-${plan.action}`),
      { below: [root], kinds: CHANGES, at: number, ...plan },
      ['tag', 'x:1', `y:${number}`, '--json'],
      { root },
    );
  const killed = await tag(3, { action: 'kill' });
  expect(killed).toMatchObject({ signal: 'SIGKILL', hit: { number: 3 } });
  expect(killed.calls.at(-1)).toEqual(killed.hit);
  const failed = await tag(3, { action: 'EIO' });
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain('EIO');
  expect((await tag(1000, { action: 'kill' })).code).toBe(0);
});
