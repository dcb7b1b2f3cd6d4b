import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import type { HostListing, ListedEntry } from '../../../src/install/files/host-listing.js';
import type { WantedEntry } from '../../../src/install/files/rootfs.js';
import {
  besideOthers,
  conflicts,
  joinTocs,
  keepingOthers,
  taggedImage,
  tocBeneath,
  tocWithin,
} from '../../../src/install/files/shared-files.js';
import { tocDifference } from '../../../src/install/files/toc-difference.js';

const file = (path: string, text = path): WantedEntry => ({
  path,
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 1,
  size: text.length,
  digest: digestOf(text),
  content: { bytes: Buffer.from(text) },
});
const listed = (text: string, mtime = 1): ListedEntry => ({
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: text.length,
  mtime,
  linkTarget: '',
});
const listing = (files: Readonly<Record<string, ListedEntry>>): HostListing => new Map(Object.entries(files));

describe('files of several in one directory', () => {
  it('stay as long as one list has them', () => {
    const toc = new Map([
      ['mine', digestOf('mine')],
      ['ours', digestOf('ours')],
    ]);
    const found = tocDifference([], { toc, listing: listing({ mine: listed('mine'), ours: listed('ours') }) });
    expect(found.remove).toEqual(['mine', 'ours']);
    expect(keepingOthers(found, new Map([['ours', digestOf('ours')]])).remove).toEqual(['mine']);
  });

  it('of others are taken as they are, whatever their time, and mended when they are not whole', () => {
    const there = listing({ ours: listed('ours', 99), torn: listed('t', 99), tag: listed('other', 99) });
    const wanted = [file('mine'), file('ours'), file('torn'), file('tag', 'mine!')];
    const others = new Map([
      ['ours', digestOf('ours')],
      ['torn', digestOf('torn')],
      ['tag', digestOf('other')],
      ['gone', digestOf('gone')],
    ]);
    const found = tocDifference(wanted, { toc: new Map(), listing: there });
    expect(found.send.map(({ path }) => path)).toEqual(['mine', 'ours', 'torn', 'tag']);
    const beside = besideOthers(found, others, there);
    expect(beside.send.map(({ path }) => path)).toEqual(['mine', 'torn']);
    expect(beside.bytes).toBe(8);
  });

  it('are in conflict when they are known to be others', () => {
    const others = joinTocs([
      new Map([
        ['a', digestOf('a')],
        ['b', digestOf('other')],
        ['c', digestOf('1')],
      ]),
      new Map([['c', digestOf('2')]]),
    ]);
    expect(conflicts([file('a'), file('b'), file('c'), file('d')], others)).toEqual(['b']);
  });

  it('are listed from above and from within', () => {
    const toc = new Map([
      ['registry', undefined],
      ['registry/a', digestOf('a')],
      ['etc/b', digestOf('b')],
    ]);
    expect([...tocWithin(toc, 'registry')]).toEqual([['a', digestOf('a')]]);
    expect([...tocBeneath(tocWithin(toc, 'registry'), 'registry')]).toEqual([['registry/a', digestOf('a')]]);
  });

  it('that name an image are told by its name', () => {
    const path = 'docker/registry/v2/repositories/library/redis/_manifests/tags/7/current/link';
    expect(taggedImage(path)).toBe('library/redis:7');
    expect(taggedImage('docker/registry/v2/blobs/x')).toBe('docker/registry/v2/blobs/x');
  });
});
