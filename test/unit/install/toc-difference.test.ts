import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { applyScript, checksumList } from '../../../src/install/files/apply-script.js';
import { type HostListing, type ListedEntry, parseListing } from '../../../src/install/files/host-listing.js';
import { decodeHostToc, encodeHostToc, type HostToc } from '../../../src/install/files/host-toc.js';
import type { WantedEntry } from '../../../src/install/files/rootfs.js';
import {
  filesToVerify,
  isListed,
  isSame,
  planMoves,
  tocDifference,
} from '../../../src/install/files/toc-difference.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';

const file = (path: string, content = path, mode = 0o644): WantedEntry => ({
  path,
  type: 'file',
  mode,
  uid: 0,
  gid: 0,
  mtime: 1_700_000_000,
  size: Buffer.byteLength(content),
  digest: digestOf(content),
  content: { bytes: Buffer.from(content) },
});
const dir = (path: string, mode = 0o755): WantedEntry => ({ path, type: 'dir', mode, uid: 0, gid: 0, mtime: 0 });
const link = (path: string, linkTarget: string): WantedEntry => ({
  path,
  type: 'symlink',
  mode: 0o777,
  uid: 0,
  gid: 0,
  mtime: 0,
  linkTarget,
});

const listed = (entry: WantedEntry): ListedEntry => ({
  type: entry.type,
  mode: entry.mode,
  uid: entry.uid,
  gid: entry.gid,
  size: entry.type === 'file' ? entry.size : 0,
  mtime: entry.mtime,
  linkTarget: entry.type === 'symlink' ? entry.linkTarget : '',
});
const ROOT: ListedEntry = { type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, linkTarget: '' };
const host = (entries: readonly WantedEntry[]): { toc: HostToc; listing: HostListing } => ({
  toc: new Map(entries.map((entry) => [entry.path, entry.type === 'file' ? entry.digest : undefined])),
  listing: new Map([['', ROOT], ...entries.map((entry) => [entry.path, listed(entry)] as const)]),
});
const EMPTY = { toc: new Map(), listing: new Map() };

const IMAGE = [
  dir('bin'),
  file('bin/kubeadm', 'elf', 0o755),
  dir('etc'),
  file('etc/a.yml'),
  link('etc/b.yml', 'a.yml'),
];

describe('the difference between an image and a host', () => {
  it('is everything on a new host, renamed into place at once', () => {
    const difference = tocDifference(IMAGE, EMPTY);
    expect(difference.send).toEqual(IMAGE);
    expect(difference.bytes).toBe('elf'.length + 'etc/a.yml'.length);
    expect(planMoves(difference, EMPTY.listing)).toEqual({ trees: [''], intoDirs: new Map() });
  });

  it('is nothing when nothing changed', () => {
    const there = host(IMAGE);
    expect(isSame(tocDifference(IMAGE, there))).toBe(true);
    expect(isListed(IMAGE, there.toc)).toBe(true);
    expect(filesToVerify(IMAGE, there)).toEqual([]);
  });

  it('is one file when one changed, moved into its directory', () => {
    const next = [...IMAGE.slice(0, 3), file('etc/a.yml', 'new'), link('etc/b.yml', 'a.yml')];
    const there = host(IMAGE);
    const difference = tocDifference(next, there);
    expect(difference.send.map(({ path }) => path)).toEqual(['etc/a.yml']);
    expect(planMoves(difference, there.listing)).toEqual({ trees: [], intoDirs: new Map([['etc', ['a.yml']]]) });
  });

  it('notices what was changed by hand: content, mode, owner, deleted, link', () => {
    for (const change of [
      { size: 99 },
      { mtime: 1_700_000_001 },
      { mode: 0o600 },
      { uid: 7 },
      { type: 'symlink' as const },
    ]) {
      const there = host(IMAGE);
      const listing = new Map(there.listing).set('etc/a.yml', { ...listed(file('etc/a.yml')), ...change });
      expect(tocDifference(IMAGE, { ...there, listing }).send.map(({ path }) => path)).toEqual(['etc/a.yml']);
    }
    const there = host(IMAGE);
    const gone = new Map(there.listing);
    gone.delete('bin/kubeadm');
    expect(tocDifference(IMAGE, { ...there, listing: gone }).send.map(({ path }) => path)).toEqual(['bin/kubeadm']);
    const other = new Map(there.listing).set('etc/b.yml', { ...listed(link('etc/b.yml', 'x')) });
    const difference = tocDifference(IMAGE, { ...there, listing: other });
    expect(difference.clear).toEqual(['etc/b.yml']);
    expect(difference.send.map(({ path }) => path)).toEqual(['etc/b.yml']);
  });

  it('asks for the content where only the content can tell, and believes the answer', () => {
    const there = { ...host(IMAGE), toc: new Map() };
    expect(filesToVerify(IMAGE, there).map(({ path }) => path)).toEqual(['bin/kubeadm', 'etc/a.yml']);
    const difference = tocDifference(IMAGE, there, new Set(['bin/kubeadm']));
    expect(difference.send.map(({ path }) => path)).toEqual(['etc/a.yml']);
  });

  it('a same-sized file of the same time is sent when the list says that it is another one', () => {
    const before = [dir('etc'), file('etc/version', 'v1')];
    const after = [dir('etc'), file('etc/version', 'v2')];
    const there = host(before);
    expect(filesToVerify(after, there).map(({ path }) => path)).toEqual(['etc/version']);
    expect(tocDifference(after, there).send.map(({ path }) => path)).toEqual(['etc/version']);
  });

  it('removes what it gave, and leaves what it did not', () => {
    const there = host([...IMAGE, dir('charts'), file('charts/x')]);
    const listing = new Map(there.listing).set('etc/made-by-a-script', listed(file('x')));
    const difference = tocDifference(IMAGE, { ...there, listing });
    expect(difference.remove).toEqual(['charts/x']);
    expect(difference.removeDirs).toEqual(['charts']);
    expect(difference.send).toEqual([]);
  });

  it('replaces a directory by a file and a file by a directory', () => {
    const there = host([dir('a'), file('a/x'), file('b')]);
    const next = [file('a'), dir('b'), file('b/y')];
    const difference = tocDifference(next, there);
    expect(difference.clear).toEqual(['a', 'b']);
    expect(planMoves(difference, there.listing)).toEqual({ trees: ['b'], intoDirs: new Map([['', ['a']]]) });
  });

  it('adjusts a directory without sending what is in it', () => {
    const there = host(IMAGE);
    const next = IMAGE.map((entry) => (entry.path === 'bin' ? dir('bin', 0o700) : entry));
    const difference = tocDifference(next, there);
    expect(difference.adjust.map(({ path }) => path)).toEqual(['bin']);
    expect(difference.send).toEqual([]);
  });
});

// Small trees over few names, so that they clash.
const tree = fc
  .dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.oneof(fc.string({ maxLength: 3 }), fc.dictionary(fc.constantFrom('x', 'y'), fc.string({ maxLength: 3 }))),
  )
  .map((names) =>
    Object.entries(names).flatMap(([name, value]) =>
      typeof value === 'string'
        ? [file(name, value)]
        : [dir(name), ...Object.entries(value).map(([inner, text]) => file(`${name}/${inner}`, text))],
    ),
  )
  .map((entries) => entries.sort((a, b) => (a.path < b.path ? -1 : 1)));

describe('for any two images', () => {
  it('doing what the difference says makes the host what is wanted', () => {
    fc.assert(
      fc.property(tree, tree, (before, after) => {
        const difference = tocDifference(after, host(before));
        const state = new Map(before.map((entry) => [entry.path, entry]));
        for (const gone of [...difference.clear, ...difference.remove, ...difference.removeDirs]) {
          for (const path of [...state.keys()]) if (path === gone || path.startsWith(`${gone}/`)) state.delete(path);
        }
        for (const entry of [...difference.send, ...difference.adjust]) state.set(entry.path, entry);
        const seen = [...state.values()].map((entry) => [
          entry.path,
          entry.type,
          entry.type === 'file' && entry.digest,
        ]);
        const wanted = after.map((entry) => [entry.path, entry.type, entry.type === 'file' && entry.digest]);
        expect(seen.sort()).toEqual(wanted.sort());
      }),
    );
  });

  it('every entry that travels has exactly one way to its place', () => {
    fc.assert(
      fc.property(tree, tree, (before, after) => {
        const there = host(before);
        const difference = tocDifference(after, there);
        const { trees, intoDirs } = planMoves(difference, there.listing);
        const moved = [...intoDirs].flatMap(([parent, names]) =>
          names.map((name) => (parent === '' ? name : `${parent}/${name}`)),
        );
        for (const { path } of difference.send) {
          const ways = [
            ...moved.filter((one) => one === path),
            ...trees.filter((one) => path === one || path.startsWith(`${one}/`)),
          ];
          expect(ways).toHaveLength(1);
        }
      }),
    );
  });
});

describe('a host’s list', () => {
  it('is read as it was written, names of any bytes included', () => {
    const entries = [dir('d'), file('d/\udc80\udcff "x"\n'), file("d/it's")];
    expect(decodeHostToc(encodeHostToc(entries))).toEqual(host(entries).toc);
  });

  it('that is damaged counts as none', () => {
    expect(decodeHostToc(Buffer.from('nonsense'))).toBeUndefined();
    expect(decodeHostToc(encodeHostToc(IMAGE).subarray(0, 30))).toBeUndefined();
  });
});

it('reads what find prints, with any name', () => {
  const bytes = Buffer.concat([
    Buffer.from('\0d\x00755\x000\x000\x004096\x001700000000.5\0\0'),
    Buffer.from('a b\n\0f\x004755\x001\x002\x0012\x001700000000.0000000000\0\0'),
    Buffer.from([0xff, 0]),
    Buffer.from('l\x00777\x000\x000\x003\x001\0x/y\0'),
  ]);
  expect([...parseListing(bytes)]).toEqual([
    ['', { type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 4096, mtime: 1_700_000_000, linkTarget: '' }],
    ['a b\n', { type: 'file', mode: 0o4755, uid: 1, gid: 2, size: 12, mtime: 1_700_000_000, linkTarget: '' }],
    ['\udcff', { type: 'symlink', mode: 0o777, uid: 0, gid: 0, size: 3, mtime: 1, linkTarget: 'x/y' }],
  ]);
});

describe('what the host is given to do', () => {
  it('quotes names so that a shell cannot mistake them', () => {
    const next = [file("it's $(id)"), file('-rf')];
    const there = host([file('x')]);
    const difference = tocDifference(next, there);
    const script = applyScript(difference, planMoves(difference, there.listing), hostPaths('/d', 'c')).toString();
    expect(script).toContain("rm -f -- '/d/data/c/rootfs/x'");
    expect(script).toContain("mv -f -- './it'\\''s $(id)' './-rf' '/d/data/c/rootfs/'");
  });

  it('lists checksums as sha256sum reads them', () => {
    const sums = checksumList([file('a b', 'x'), file('back\\slash\n', 'y'), dir('d')]).toString();
    const [first, second, rest] = sums.split('\n');
    expect(first).toBe(`${digestOf('x').slice(7)}  a b`);
    expect(second).toBe(`\\${digestOf('y').slice(7)}  back\\\\slash\\n`);
    expect(rest).toBe('');
  });
});
