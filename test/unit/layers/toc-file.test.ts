import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import type { LayerToc, TocEntry } from '../../../src/layers/toc.js';
import { decodeToc, encodeToc } from '../../../src/layers/toc-file.js';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const number = fc.nat(Number.MAX_SAFE_INTEGER);
const entry: fc.Arbitrary<TocEntry> = fc.record(
  {
    path: fc.oneof(text, fc.constant('odd \udcff name')),
    type: fc.constantFrom('file', 'dir', 'symlink', 'hardlink', 'char', 'block', 'fifo', 'whiteout', 'opaque'),
    mode: fc.nat(0o7777),
    uid: number,
    gid: number,
    size: number,
    mtime: fc.integer(),
    offset: number,
    linkTarget: text,
    digest: text.map((content) => digestOf(content)),
    xattrs: fc.dictionary(fc.constantFrom('user.a', 'security.capability'), fc.base64String()),
  },
  { requiredKeys: ['path', 'type', 'mode', 'uid', 'gid', 'size', 'mtime', 'offset'] },
);
const diffId = digestOf('layer');

describe('a table of contents on disk', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.array(entry), number, (entries, unpackedSize) => {
        const toc: LayerToc = {
          diffId,
          unpackedSize,
          entries: entries.map((item) => ({ ...item, ...(item.type === 'char' ? { devMajor: 1, devMinor: 3 } : {}) })),
        };
        expect(decodeToc(encodeToc(toc), diffId)).toEqual(toc);
      }),
    );
  });

  it('holds 200 000 entries', () => {
    const entries = Array.from(
      { length: 200_000 },
      (_, index): TocEntry => ({
        path: `usr/share/doc/package-${index % 1000}/file-${index}`,
        type: 'file',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: index,
        mtime: 1_700_000_000,
        offset: index * 1024,
        digest: diffId,
      }),
    );
    const toc = { diffId, unpackedSize: 1, entries };
    const bytes = encodeToc(toc);
    expect(decodeToc(bytes).entries).toHaveLength(200_000);
    expect(bytes.length).toBeLessThan(6_000_000);
  });

  const good = encodeToc({
    diffId,
    unpackedSize: 1,
    entries: [{ path: 'a', type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, offset: 0 }],
  });
  const edited = (from: string, to: string) => gzipSync(gunzipSync(good).toString().replace(from, to));
  it.each([
    ['truncated', good.subarray(0, 40)],
    ['empty', Buffer.alloc(0)],
    ['no gzip', Buffer.from('{}')],
    ['no JSON', gzipSync('{"slipwayToc":1')],
    ['of another version', edited('"slipwayToc":1', '"slipwayToc":2')],
    ['without a right digest', edited(diffId, 'sha256:../../x')],
    ['of a wrong shape', edited('"a"', '7')],
    ['with an unknown type', edited('"d"', '"q"')],
    ['with a negative size', edited('493,0,0,0', '493,0,0,-1')],
  ])('is refused when it is %s', (_, bytes) => {
    expect(() => decodeToc(bytes)).toThrow(expect.objectContaining({ code: 'E_STORE' }));
  });

  it('is refused when it is about another layer', () => {
    expect(() => decodeToc(good, digestOf('other'))).toThrow(/it is about sha256/);
  });
});
