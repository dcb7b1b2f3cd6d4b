import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readUnchanged } from '../../../src/layers/read-unchanged.js';
import { tarBlocks } from '../../../src/layers/tar-blocks.js';
import { tempDirectory } from '../../support/temp.js';

const home = tempDirectory();
let count = 0;

/** `dir/file` inside a directory of its own, and beside it a secret that must never be read. */
function place() {
  const root = join(home, String(count++));
  const file = join(root, 'dir', 'file');
  mkdirSync(join(root, 'dir'), { recursive: true });
  mkdirSync(join(root, 'outside'));
  writeFileSync(file, 'content');
  writeFileSync(join(root, 'outside', 'file'), 'secrets');
  utimesSync(join(root, 'outside', 'file'), 1, 1);
  utimesSync(file, 1, 1);
  return { root, file, stats: lstatSync(file) };
}

type Place = ReturnType<typeof place>;

const CHANGES: Readonly<Record<string, (place: Place) => void>> = {
  'written to': ({ file }) => appendFileSync(file, 'x'),
  'written to, with its size and time': ({ file }) => {
    writeFileSync(file, 'CONTENT');
    utimesSync(file, 1, 1);
  },
  removed: ({ file }) => rmSync(file),
  'exchanged for another one': ({ file }) => {
    rmSync(file);
    writeFileSync(file, 'CONTENT');
    utimesSync(file, 1, 1);
  },
  'exchanged for a link': ({ root, file }) => {
    rmSync(file);
    symlinkSync(join(root, 'outside', 'file'), file);
  },
  'in a directory that was exchanged for a link': ({ root }) => {
    renameSync(join(root, 'dir'), join(root, 'moved'));
    symlinkSync('outside', join(root, 'dir'));
  },
  'exchanged for a FIFO': ({ file }) => {
    rmSync(file);
    execFileSync('mkfifo', [file]);
  },
  'exchanged for a directory': ({ file }) => {
    rmSync(file);
    mkdirSync(file);
  },
};

async function pack({ file, stats }: Place): Promise<string> {
  const { dev, ino, mtimeMs, ctimeMs, size } = stats;
  const content = { file, mtimeMs, identity: { dev, ino, ctimeMs } };
  const entry = { path: 'f', type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtime: 0, size, content };
  let text = '';
  for await (const block of tarBlocks([entry], {})) text += block.toString('latin1');
  return text;
}

async function read({ file, stats }: Place): Promise<string> {
  let text = '';
  for await (const piece of readUnchanged(file, stats)) text += piece.toString('latin1');
  return text;
}

describe.each([
  ['packed', pack],
  ['read', read],
])('a file that is %s', (_, take) => {
  it('as it was', async () => {
    expect(await take(place())).toContain('content');
  });

  it.each(Object.entries(CHANGES))('after it was %s is refused', async (_, change) => {
    const there = place();
    change(there);
    await expect(take(there)).rejects.toMatchObject({ code: 'E_FILE_CHANGED' });
  });
});

describe('a part of a file', () => {
  it('is packed from where it starts, small or large', async () => {
    const { file } = place();
    const large = Buffer.alloc(3_000_000, 'abcdefg');
    writeFileSync(file, large);
    const entry = { type: 'file' as const, mode: 0o644, uid: 0, gid: 0, mtime: 0 };
    const blocks: Buffer[] = [];
    const digests: (string | undefined)[] = [];
    const entries = [
      { ...entry, path: 'small', size: 5, content: { file, start: 9 } },
      { ...entry, path: 'large', size: 2_000_000, content: { file, start: 11 } },
    ];
    for await (const block of tarBlocks(entries, { onEntry: ({ digest }) => digests.push(digest) })) blocks.push(block);
    const tar = Buffer.concat(blocks);
    expect(tar.toString('latin1', 512, 517)).toBe('cdefg');
    expect(tar.subarray(1536, 1536 + 2_000_000).equals(large.subarray(11, 2_000_011))).toBe(true);
    expect(new Set(digests).size).toBe(2);
  });

  it('that is not all there is an error', async () => {
    const { file } = place();
    const entry = {
      path: 'f',
      type: 'file' as const,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      size: 5,
      content: { file, start: 4 },
    };
    await expect(async () => {
      for await (const block of tarBlocks([entry], {})) expect(block).toBeDefined();
    }).rejects.toMatchObject({ code: 'E_FILE_CHANGED' });
  });
});
