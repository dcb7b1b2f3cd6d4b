import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { comparePaths, type PackEntry } from '../../../src/layers/toc.js';

/** Runs `work` with a directory of its own, which is removed afterwards. */
export async function withDirectory<T>(work: (dir: string) => T | Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'slipway-layers-'));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export interface Snapshot {
  /** In latin1, so that every byte shows. */
  readonly path: string;
  readonly kind: string;
  readonly mode: string;
  readonly owner: string;
  readonly mtime: number;
  readonly link?: string;
  readonly content?: string;
  /** The first path with the same inode. */
  readonly sameAs?: string;
}

/** Everything below `dir` that a tar can carry, read without any of the code under test. */
export function snapshot(dir: string): Snapshot[] {
  const found: Snapshot[] = [];
  const inodes = new Map<bigint, string>();
  const visit = (path: Buffer, shown: string): void => {
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const file = Buffer.concat([path, Buffer.from('/'), name]);
      const label = shown === '' ? name.toString('latin1') : `${shown}/${name.toString('latin1')}`;
      const stats = lstatSync(file, { bigint: true });
      const kind = stats.isFile()
        ? 'file'
        : stats.isDirectory()
          ? 'dir'
          : stats.isSymbolicLink()
            ? 'symlink'
            : stats.isFIFO()
              ? 'fifo'
              : `device ${stats.rdev}`;
      const first = stats.isDirectory() || stats.nlink === 1n ? undefined : inodes.get(stats.ino);
      inodes.set(stats.ino, inodes.get(stats.ino) ?? label);
      found.push({
        path: label,
        kind,
        mode: (Number(stats.mode) & 0o7777).toString(8),
        owner: `${stats.uid}:${stats.gid}`,
        mtime: Math.floor(Number(stats.mtimeMs) / 1000),
        ...(kind === 'symlink' ? { link: readlinkSync(file, { encoding: 'buffer' }).toString('latin1') } : {}),
        ...(kind === 'file' ? { content: createHash('sha256').update(readFileSync(file)).digest('hex') } : {}),
        ...(first === undefined ? {} : { sameAs: first }),
      });
      if (kind === 'dir') visit(file, label);
    }
  };
  visit(Buffer.from(dir), '');
  return found;
}

const component = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z][a-z0-9._-]{0,8}$/) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'with space',
      "quo'te",
      'back\\slash',
      'new\nline',
      '-dash',
      'ünïcödé',
      '日本語',
      '😀',
      '..a',
      '...',
      '\udcff\udc80',
      'x\udcc3',
      'a=b',
      '~',
    ),
  },
  { weight: 1, arbitrary: fc.integer({ min: 80, max: 250 }).map((length) => 'n'.repeat(length)) },
);
const owner = fc.oneof(fc.constant(0), fc.nat(2000), fc.constantFrom(2097151, 2097152, 4294967294));
const attributes = fc.record({
  uid: owner,
  gid: owner,
  mtime: fc.oneof(fc.nat(2_000_000_000), fc.constantFrom(0, -1, 8589934591, 8589934592)),
});
const mode = fc.constantFrom(0o644, 0o600, 0o755, 0o4755, 0o2711, 0o1777, 0o400, 0o7777, 0);

/** Trees with odd names, long paths, big ids and hard links, as entries in the order of a tar. */
export const trees: fc.Arbitrary<PackEntry[]> = fc
  .array(
    fc.record({
      parts: fc.array(component, { minLength: 1, maxLength: 6 }),
      kind: fc.constantFrom('file', 'file', 'dir', 'symlink', 'hardlink', 'fifo'),
      attributes,
      mode,
      content: fc.uint8Array({ maxLength: 2000 }),
      target: fc.constantFrom('x', '../up', '/abs/olute', 'long/'.repeat(40), '\udcfe', 'né'),
    }),
    { maxLength: 12 },
  )
  .map((items) => {
    const entries = new Map<string, PackEntry>();
    for (const { parts, kind, attributes: facts, mode: bits, content, target } of items) {
      const path = parts.join('/');
      const parents = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join('/'));
      // A path that is taken, or that leads through something that is no directory, is left out.
      if (entries.has(path) || parents.some((parent) => (entries.get(parent)?.type ?? 'dir') !== 'dir')) continue;
      for (const parent of parents) {
        if (!entries.has(parent)) entries.set(parent, { path: parent, type: 'dir', mode: 0o755, size: 0, ...facts });
      }
      const base = { path, mode: bits, size: 0, ...facts };
      if (kind === 'dir') entries.set(path, { ...base, type: 'dir' });
      else if (kind === 'fifo') entries.set(path, { ...base, type: 'fifo' });
      else if (kind === 'symlink') entries.set(path, { ...base, type: 'symlink', mode: 0o777, linkTarget: target });
      else if (kind === 'hardlink') {
        const file = [...entries.values()].find(({ type }) => type === 'file');
        if (file !== undefined) entries.set(path, { ...file, path, type: 'hardlink', linkTarget: file.path });
      } else entries.set(path, { ...base, type: 'file', size: content.length, content: { bytes: content } });
    }
    return inOrder([...entries.values()]);
  });

/** Sorted, the first of the names of a file being the file. */
function inOrder(entries: PackEntry[]): PackEntry[] {
  const sorted = entries.sort((a, b) => comparePaths(a.path, b.path));
  const firstOf = new Map<string, string>();
  const contentOf = new Map(sorted.filter(({ type }) => type === 'file').map((entry) => [entry.path, entry]));
  return sorted.map((entry) => {
    const key = entry.type === 'hardlink' ? (entry.linkTarget ?? '') : entry.path;
    const file = contentOf.get(key);
    if (file === undefined) return entry;
    const first = firstOf.get(key);
    if (first === undefined) {
      firstOf.set(key, entry.path);
      return { ...file, path: entry.path };
    }
    const { content: _content, ...facts } = file;
    return { ...facts, path: entry.path, type: 'hardlink', size: 0, linkTarget: first };
  });
}
