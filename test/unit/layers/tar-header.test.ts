import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainFileHeader, TAR_BLOCK, writeTarHeader } from '../../../src/layers/tar-header.js';
import { readTar, type TarMember } from '../../../src/layers/tar-reader.js';
import type { PackEntry } from '../../../src/layers/toc.js';
import { inPieces } from './raw-tar.js';

const facts = { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 0 };

function headerOf(entry: PackEntry): { header: Buffer; pax: string | undefined } {
  const header = Buffer.alloc(TAR_BLOCK, 0xee);
  const pax = writeTarHeader(header, 0, entry, entry.mtime);
  return { header, pax: pax?.toString('latin1', TAR_BLOCK) };
}

/** Reads back what the header says; the content is never there. */
async function readBack(entry: PackEntry): Promise<TarMember> {
  const header = Buffer.alloc(TAR_BLOCK, 0xee);
  const pax = writeTarHeader(header, 0, entry, entry.mtime);
  let member: TarMember | undefined;
  const stream = inPieces(Buffer.concat([pax ?? Buffer.alloc(0), header]));
  await readTar(stream, {
    member(found) {
      member = found;
    },
  }).catch(() => {});
  if (member === undefined) throw new Error('nothing was read');
  return member;
}

describe('a tar header', () => {
  it('is plain ustar while that is enough', () => {
    const paths = ['a', 'n'.repeat(100), `${'d'.repeat(155)}/${'n'.repeat(100)}`];
    for (const path of paths)
      expect(headerOf({ path, type: 'file', ...facts, uid: 0o7777777, mtime: 0o77777777777 }).pax).toBeUndefined();
  });

  it.each<[string, Partial<PackEntry>, string[]]>([
    ['a long name', { path: 'n'.repeat(101) }, [`path=${'n'.repeat(101)}`]],
    ['a name that is not ASCII', { path: 'é' }, ['path=\u00c3\u00a9']],
    ['a name that is not UTF-8', { path: '\udcff' }, ['path=\u00ff']],
    ['a long link', { type: 'symlink', linkTarget: 't'.repeat(101) }, [`linkpath=${'t'.repeat(101)}`]],
    ['big owners', { uid: 0o10000000, gid: 4294967294 }, ['gid=4294967294', 'uid=2097152']],
    ['a time before 1970', { mtime: -1 }, ['mtime=-1']],
    ['a big file', { size: 9_000_000_000 }, ['size=9000000000']],
    [
      'attributes, but not those of one machine',
      { xattrs: { 'user.b': 'Yg==', 'user.a': 'YQ==', 'trusted.overlay.opaque': 'eQ==' } },
      ['SCHILY.xattr.user.a=a', 'SCHILY.xattr.user.b=b'],
    ],
  ])('needs pax for %s', (_, change, records) => {
    const { pax } = headerOf({ path: 'x', type: 'file', ...facts, ...change });
    const lines = (pax ?? '').replace(/\0+$/, '').split('\n').slice(0, -1);
    expect(lines.map((line) => line.replace(/^\d+ /, ''))).toEqual(records);
    for (const line of lines) expect(Number(line.split(' ')[0])).toBe(line.length + 1);
  });

  it('says the same when it is read', async () => {
    const id = fc.oneof(fc.nat(100), fc.nat(2 ** 32 - 2), fc.constantFrom(0o7777777, 0o10000000));
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          path: fc
            .array(fc.stringMatching(/^[a-zé]{1,120}$/), { minLength: 1, maxLength: 4 })
            .map((parts) => parts.join('/')),
          mode: fc.nat(0o7777),
          uid: id,
          gid: id,
          size: fc.oneof(fc.nat(10), fc.nat(2 ** 40), fc.constantFrom(0o77777777777, 0o100000000000)),
          mtime: fc.oneof(fc.nat(), fc.integer(), fc.constantFrom(0o77777777777, 0o100000000000)),
        }),
        async (fields) => {
          expect(await readBack({ ...fields, type: 'file' })).toMatchObject(fields);
        },
      ),
    );
  });

  it('names whiteouts and opaque directories as layers do', async () => {
    expect(headerOf({ path: 'a/b', type: 'whiteout', ...facts }).header.toString('latin1', 0, 9)).toBe('a/.wh.b\0\0');
    expect(headerOf({ path: 'a', type: 'opaque', ...facts }).header.toString('latin1', 0, 15)).toBe('a/.wh..wh..opq\0');
    expect(headerOf({ path: '', type: 'opaque', ...facts }).header.toString('latin1', 0, 13)).toBe('.wh..wh..opq\0');
    expect(headerOf({ path: '', type: 'dir', ...facts }).header.toString('latin1', 0, 3)).toBe('./\0');
  });

  it.each<[string, Partial<PackEntry>]>([
    ['a NUL in a name', { path: 'a\0b' }],
    ['a negative owner', { uid: -1 }],
    ['a device number that is too big', { type: 'char', devMajor: 2 ** 24 }],
  ])('refuses %s', (_, change) => {
    expect(() => headerOf({ path: 'x', type: 'file', ...facts, ...change })).toThrow(
      expect.objectContaining({ code: 'E_INTERNAL' }),
    );
  });
});

describe('the header of a plain file', () => {
  const limit = 0o77777777777;

  it.each([0, 1, limit, limit + 1, 2 ** 40 + 7])('is one block for %i bytes', async (size) => {
    const header = plainFileHeader('blobs/x', size);
    expect(header).toHaveLength(TAR_BLOCK);
    let member: TarMember | undefined;
    await readTar(inPieces(header), {
      member(found) {
        member = found;
      },
    }).catch(() => {}); // the content never comes
    expect(member).toMatchObject({ path: 'blobs/x', type: 'file', size, mode: 0o644, uid: 0, mtime: 0 });
  });

  it('is what any header is while the size is ordinary', () => {
    const { header } = headerOf({ path: 'blobs/x', type: 'file', ...facts, size: 77 });
    expect(plainFileHeader('blobs/x', 77)).toEqual(header);
  });
});
