import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../../src/image/digest.js';
import { driftFindings } from '../../../../src/install/check/drift.js';
import type { HostListing, ListedEntry } from '../../../../src/install/files/host-listing.js';
import { decodeHostTocRows, encodeHostToc } from '../../../../src/install/files/host-toc.js';
import type { WantedEntry } from '../../../../src/install/files/rootfs.js';

const common = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000 };
const GIVEN: readonly WantedEntry[] = [
  { ...common, path: 'bin', type: 'dir', mode: 0o755 },
  {
    ...common,
    path: 'bin/run',
    type: 'file',
    size: 3,
    digest: digestOf('run'),
    content: { bytes: Buffer.from('run') },
  },
  { ...common, path: 'bin/link', type: 'symlink', linkTarget: 'run' },
];
const there = (entry: WantedEntry): ListedEntry => ({
  type: entry.type,
  mode: entry.mode,
  uid: entry.uid,
  gid: entry.gid,
  size: entry.type === 'file' ? entry.size : 4096,
  // of directories it means nothing
  mtime: entry.type === 'dir' ? 1 : entry.mtime,
  linkTarget: entry.type === 'symlink' ? entry.linkTarget : '',
});
const ROOT: ListedEntry = { type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, linkTarget: '' };

function drift(change: Readonly<Record<string, Partial<ListedEntry> | undefined>>, verified?: ReadonlySet<string>) {
  const listing = new Map<string, ListedEntry>([
    ['', ROOT],
    ...GIVEN.map((entry) => [entry.path, there(entry)] as const),
  ]);
  for (const [path, over] of Object.entries(change)) {
    if (over === undefined) listing.delete(path);
    else listing.set(path, { ...(listing.get(path) ?? ROOT), ...over });
  }
  return found(listing, decodeHostTocRows(encodeHostToc(GIVEN)), verified);
}
const found = (
  listing: HostListing,
  given: ReturnType<typeof decodeHostTocRows>,
  verified?: ReadonlySet<string>,
  halfSent = false,
): string[] =>
  driftFindings('h', { given, listing, verified, halfSent }).flatMap(
    ({ items, what, why }) => items ?? [`${what}: ${why}`],
  );

describe('the files of a host', () => {
  it('are as they were sent, and what was put beside them does not matter', () => {
    expect(drift({})).toEqual([]);
    expect(drift({ 'bin/mine': { type: 'file' } }, new Set(['bin/run']))).toEqual([]);
  });

  it('come back with a command that is named', () => {
    const [finding] = driftFindings('h', {
      given: undefined,
      listing: new Map(),
      verified: undefined,
      halfSent: false,
    });
    expect(finding?.fix).toBe('slipway apply -f Clusterfile, or the same run again: only what differs is sent');
  });

  it.each<[Record<string, Partial<ListedEntry> | undefined>, string]>([
    [{ 'bin/run': undefined }, 'bin/run: missing'],
    [{ 'bin/run': { size: 4 } }, 'bin/run: 4 bytes, not 3'],
    [{ 'bin/run': { mode: 0o600 } }, 'bin/run: mode 600, not 644'],
    [{ 'bin/run': { mtime: 1_700_000_001 } }, 'bin/run: written since'],
    [{ 'bin/run': { uid: 1000 } }, 'bin/run: owner 1000:0, not 0:0'],
    [{ 'bin/run': { type: 'symlink' } }, 'bin/run: a link, not a file'],
    [{ bin: { mode: 0o700 } }, 'bin: mode 700, not 755'],
    [{ bin: { type: 'other' } }, 'bin: something else, not a directory'],
    [{ 'bin/link': { linkTarget: '/bin/sh' } }, 'bin/link: leads to /bin/sh'],
    [{ 'bin/link': undefined }, 'bin/link: missing'],
  ])('%j', (change, finding) => {
    expect(drift(change)).toEqual([finding]);
  });

  it('are believed by their content when somebody looked into them', () => {
    expect(drift({}, new Set())).toEqual(['bin/run: its content is another one']);
    expect(drift({ 'bin/run': { mtime: 1 } }, new Set(['bin/run']))).toEqual([]);
    expect(drift({ 'bin/run': { mode: 0o600 } }, new Set(['bin/run']))).toEqual(['bin/run: mode 600, not 644']);
  });

  it('cannot be judged without the list of them, or while they are sent', () => {
    expect(found(new Map([['', ROOT]]), undefined)).toEqual([
      'nothing says what files the host was given: its list is missing or damaged',
    ]);
    expect(found(new Map(), decodeHostTocRows(encodeHostToc(GIVEN)))).toEqual([
      'the files of the image are gone: there is no rootfs',
    ]);
    expect(found(new Map(), undefined, undefined, true)).toEqual([
      expect.stringContaining('files of the image were sent by half'),
    ]);
  });

  it('are only looked for where the list is of an older version', () => {
    const old = [{ path: 'bin/run', digest: digestOf('run'), attributes: undefined }];
    const listing = (over: Partial<ListedEntry>): HostListing =>
      new Map([
        ['', ROOT],
        ['bin/run', { ...ROOT, type: 'file', ...over }],
      ]);
    expect(found(listing({ size: 99, mtime: 1 }), old)).toEqual([]);
    expect(found(listing({ type: 'dir' }), old)).toEqual(['bin/run: a directory, not a file']);
    expect(found(new Map([['', ROOT]]), old)).toEqual(['bin/run: missing']);
  });

  it('are named by the first few when there are many', () => {
    const [finding] = driftFindings('h', {
      given: Array.from({ length: 5 }, (_, index) => ({ path: `f${index}`, digest: undefined, attributes: undefined })),
      listing: new Map([['', ROOT]]),
      verified: undefined,
      halfSent: false,
    });
    expect(finding?.what).toBe('5 files are not as they were sent');
    expect(finding?.why).toBe('f0: missing; f1: missing; f2: missing; and 2 more');
    expect(finding?.items).toHaveLength(5);
  });
});
