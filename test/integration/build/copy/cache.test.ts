import { chmodSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { slipway } from '../../../support/slipway.js';
import { tempDirectory } from '../../../support/temp.js';
import { writeTree } from '../../../support/write-tree.js';

const home = tempDirectory();
let count = 0;

/** A context, and a store of its own in which it has been built once. */
async function built(kubefile: string, ...args: string[]) {
  const id = String(count++);
  const dir = writeTree(join(home, 'contexts', id), {
    Kubefile: kubefile,
    'd/one': 'content 1',
    'd/two': 'content 2',
    'd/sub/x': 'x',
  });
  symlinkSync('one', join(dir, 'd/link'));
  const root = join(home, `store-${id}`);
  const again = async (...more: string[]): Promise<'hit' | 'miss'> => {
    const { code, stderr } = await slipway(['build', ...more, dir], { root });
    if (code !== 0) throw new Error(stderr);
    return /\[(?:\S+ )?(\d+)\/\1\] cached/.test(stderr) ? 'hit' : 'miss';
  };
  expect(await again(...args)).toBe('miss');
  expect(await again(...args)).toBe('hit');
  return { dir, again };
}

describe.each(['COPY', 'ADD'])('%s is taken from the cache', (word) => {
  const kubefile = `FROM scratch\n${word} d /d/\n`;

  it.each<readonly [string, 'hit' | 'miss', (dir: string) => void]>([
    ['a touched file', 'hit', (dir) => utimesSync(join(dir, 'd/one'), 1, 1)],
    ['a touched directory', 'hit', (dir) => utimesSync(join(dir, 'd/sub'), 1, 1)],
    ['a file written anew with the same content', 'hit', (dir) => writeFileSync(join(dir, 'd/one'), 'content 1')],
    ['a file beside', 'hit', (dir) => writeFileSync(join(dir, 'beside'), 'x')],
    ['a file renamed', 'miss', (dir) => renameSync(join(dir, 'd/one'), join(dir, 'd/uno'))],
    ['a directory renamed', 'miss', (dir) => renameSync(join(dir, 'd/sub'), join(dir, 'd/bus'))],
    ['a mode changed', 'miss', (dir) => chmodSync(join(dir, 'd/one'), 0o755)],
    ['the mode of a directory changed', 'miss', (dir) => chmodSync(join(dir, 'd/sub'), 0o700)],
    ['a file removed', 'miss', (dir) => rmSync(join(dir, 'd/two'))],
    ['a file of the same size changed', 'miss', (dir) => writeFileSync(join(dir, 'd/one'), 'content X')],
    [
      'a link that leads elsewhere',
      'miss',
      (dir) => {
        rmSync(join(dir, 'd/link'));
        symlinkSync('two', join(dir, 'd/link'));
      },
    ],
    [
      'the contents of two files swapped',
      'miss',
      (dir) => {
        writeFileSync(join(dir, 'd/one'), 'content 2');
        writeFileSync(join(dir, 'd/two'), 'content 1');
      },
    ],
    [
      'two files swapped by renaming',
      'miss',
      (dir) => {
        renameSync(join(dir, 'd/one'), join(dir, 'd/three'));
        renameSync(join(dir, 'd/two'), join(dir, 'd/one'));
        renameSync(join(dir, 'd/three'), join(dir, 'd/two'));
      },
    ],
    [
      'a link in the place of a file with its content',
      'miss',
      (dir) => {
        rmSync(join(dir, 'd/one'));
        symlinkSync('two', join(dir, 'd/one'));
      },
    ],
  ])('%s: %s', async (_, expected, change) => {
    const { dir, again } = await built(kubefile);
    change(dir);
    expect(await again()).toBe(expected);
  });
});

describe('build arguments', () => {
  it('count where they are used', async () => {
    const { again } = await built('FROM scratch\nARG WHERE=a\nCOPY d /$WHERE/\n');
    expect(await again('--build-arg', 'WHERE=b')).toBe('miss');
    expect(await again('--build-arg', 'WHERE=a')).toBe('hit');
  });

  it('do not count where they are not, nor does ENV', async () => {
    const { dir, again } = await built('FROM scratch\nARG UNUSED=1\nENV E=1\nCOPY d /d/\n');
    expect(await again('--build-arg', 'UNUSED=2')).toBe('hit');
    writeFileSync(join(dir, 'Kubefile'), 'FROM scratch\nARG UNUSED=1\nENV E=2 F=3\nLABEL x=y\nCOPY d /d/\n');
    expect(await again()).toBe('hit');
  });

  it('in a heredoc count, unless it is quoted', async () => {
    const expanded = await built('FROM scratch\nARG A=1\nCOPY <<f /\n$A\nf\n');
    expect(await expanded.again('--build-arg', 'A=2')).toBe('miss');
    const quoted = await built('FROM scratch\nARG A=1\nCOPY <<"f" /\n$A\nf\n');
    expect(await quoted.again('--build-arg', 'A=2')).toBe('hit');
  });
});

describe('what lies below', () => {
  it('counts, and so does another flag', async () => {
    const { dir, again } = await built('FROM scratch\nCOPY d/one /d/one\nCOPY d/two /d/two\n');
    writeFileSync(join(dir, 'd/one'), 'other');
    expect(await again()).toBe('miss');
    writeFileSync(join(dir, 'd/one'), 'content 1');
    expect(await again()).toBe('hit');
    writeFileSync(join(dir, 'Kubefile'), 'FROM scratch\nCOPY d/one /d/one\nCOPY --chmod=600 d/two /d/two\n');
    expect(await again()).toBe('miss');
  });

  it('of a stage counts by its content', async () => {
    const kubefile = 'FROM scratch AS a\nCOPY d /\nFROM scratch\nCOPY --from=a one /\n';
    const { dir, again } = await built(kubefile);
    utimesSync(join(dir, 'd/one'), 1, 1);
    expect(await again()).toBe('hit');
    writeFileSync(join(dir, 'd/two'), 'something that is not copied');
    expect(await again()).toBe('hit');
    writeFileSync(join(dir, 'd/one'), 'content X');
    expect(await again()).toBe('miss');
  });
});
