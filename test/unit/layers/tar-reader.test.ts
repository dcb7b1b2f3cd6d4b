import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TarLimits } from '../../../src/layers/tar-limits.js';
import { readTar, scanTar, type TarMember } from '../../../src/layers/tar-reader.js';
import { gnuLong, inPieces, pax, paxRecord, type RawMember, rawMember, rawTar } from './raw-tar.js';

type Read = TarMember & { readonly text: string };

async function read(tar: Buffer, pieces = 65536, limits: Partial<TarLimits> = {}): Promise<Read[]> {
  const members: Read[] = [];
  let current: TarMember | undefined;
  let content: Buffer[] = [];
  await readTar(
    inPieces(tar, pieces),
    {
      member(member) {
        current = member;
        content = [];
      },
      content(piece) {
        content.push(Buffer.from(piece));
      },
      end() {
        if (current !== undefined) members.push({ ...current, text: Buffer.concat(content).toString('latin1') });
      },
    },
    limits,
  );
  return members;
}

/** Reads one member after others that describe it. */
async function readOne(...members: RawMember[]): Promise<Read> {
  const all = await read(rawTar(...members));
  expect(all).toHaveLength(1);
  return all[0] as Read;
}

const failing = (code: string, message?: RegExp) =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message: expect.stringMatching(message) }) });

describe('reading a tar', () => {
  it('reads members whatever the pieces the stream comes in', async () => {
    const tar = rawTar(
      { name: 'dir/', type: '5', mode: 0o755 },
      { name: 'dir/file', content: 'x'.repeat(700), mode: 0o4750, uid: 12, gid: 34, mtime: 1700000000 },
      { name: 'dir/empty' },
      { name: 'link', type: '2', link: '../anywhere' },
      { name: 'hard', type: '1', link: './dir//file' },
      { name: 'null', type: '3', device: [1, 3] },
      { name: 'pipe', type: '6' },
    );
    const whole = await read(tar);
    expect(whole.map(({ path, type }) => `${type} ${path}`)).toEqual([
      'dir dir',
      'file dir/file',
      'file dir/empty',
      'symlink link',
      'hardlink hard',
      'char null',
      'fifo pipe',
    ]);
    expect(whole[1]).toMatchObject({ mode: 0o4750, uid: 12, gid: 34, mtime: 1700000000, size: 700, offset: 1024 });
    expect(whole[1]?.text).toBe('x'.repeat(700));
    expect(whole[3]?.linkTarget).toBe('../anywhere');
    expect(whole[4]?.linkTarget).toBe('dir/file');
    expect(whole[5]).toMatchObject({ devMajor: 1, devMinor: 3 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), async (size) => {
        expect(await read(tar, size)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  describe('names', () => {
    it.each([
      ['./a/b', 'a/b'],
      ['/abs/path', 'abs/path'],
      ['a//b/./c/', 'a/b/c'],
      ['.', ''],
      ['./', ''],
      ['/', ''],
    ])('%s is the path %j', async (name, path) => {
      expect((await readOne({ name, type: '5' })).path).toBe(path);
    });

    it('joins the prefix of ustar, and not what GNU keeps there', async () => {
      const patch = (header: Buffer) => void header.write('some/prefix', 345);
      expect((await readOne({ name: 'name', patch })).path).toBe('some/prefix/name');
      const gnu = (header: Buffer) => {
        header.write('ustar  \0', 257);
        header.write('00000000000', 345);
      };
      expect((await readOne({ name: 'name', patch: gnu })).path).toBe('name');
    });

    it('takes names of 100 bytes without a NUL', async () => {
      expect((await readOne({ name: 'n'.repeat(100) })).path).toBe('n'.repeat(100));
    });

    it('takes long names from GNU and pax, for one member only', async () => {
      const long = `${'d/'.repeat(100)}é`;
      const members = await read(
        rawTar(
          gnuLong('L', long),
          gnuLong('K', `${long}2`),
          { name: 'short', type: '2', link: 'l' },
          pax({ path: `${long}3`, linkpath: 'p/q', uid: '4000000', gid: '5000000', mtime: '-1.5', comment: 'x=y' }),
          { name: 'short', type: '2', link: 'l' },
          { name: 'plain', type: '2', link: 'l' },
        ),
      );
      expect(members.map(({ path, linkTarget }) => [path, linkTarget])).toEqual([
        [long, `${long}2`],
        [`${long}3`, 'p/q'],
        ['plain', 'l'],
      ]);
      expect(members[1]).toMatchObject({ uid: 4000000, gid: 5000000, mtime: -2 });
    });

    it('keeps bytes that are not UTF-8', async () => {
      const patch = (header: Buffer) => void header.set([0x61, 0xff, 0], 0);
      expect((await readOne({ name: '', patch })).path).toBe('a\udcff');
    });

    it('takes a file with a slash at its end for a directory, as v7 meant it', async () => {
      expect((await readOne({ name: 'old/', type: '\0' })).type).toBe('dir');
    });
  });

  it('takes a file that lies in one piece for a file, whatever its name ends with', async () => {
    expect((await readOne({ name: 'f/', type: '7', content: 'abc' })).text).toBe('abc');
  });

  it('takes no content for what can have none, whatever size it claims', async () => {
    const members = await read(rawTar({ name: 'l', type: '2', link: 'x', size: 512 }, { name: 'f', content: 'abc' }));
    expect(members.map(({ path, size }) => [path, size])).toEqual([
      ['l', 0],
      ['f', 3],
    ]);
  });

  it('takes the size from pax', async () => {
    const big = { name: 'big', content: 'abc', size: 0 };
    expect(await readOne(pax({ size: '3' }), big)).toMatchObject({ size: 3, text: 'abc' });
  });

  it('reads extended attributes, binary ones as well', async () => {
    const value = Buffer.from([0, 1, 0x3d, 0x0a]).toString('latin1');
    const member = await readOne(pax({ 'SCHILY.xattr.user.a=b': 'x', 'SCHILY.xattr.security.capability': value }), {
      name: 'f',
    });
    expect(member.xattrs).toEqual({
      'user.a': Buffer.from('b=x').toString('base64'),
      'security.capability': 'AAE9Cg==',
    });
  });

  it('lets a global header speak for all that follow, and a local one against it', async () => {
    const members = await read(
      rawTar(
        pax({ uid: '7', comment: 'git' }, 'g'),
        { name: 'a', uid: 1 },
        pax({ uid: '9' }),
        { name: 'b' },
        { name: 'c' },
      ),
    );
    expect(members.map(({ uid }) => uid)).toEqual([7, 9, 7]);
  });

  it('reads binary numbers', async () => {
    const patch = (header: Buffer) => {
      header.set([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe], 108);
      header.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb], 136);
    };
    expect(await readOne({ name: 'f', patch })).toMatchObject({ uid: 4294967294, mtime: -5 });
  });

  it('reads fields with spaces, and checksums of signed characters', async () => {
    const patch = (header: Buffer) => void header.write('   644 \0', 100);
    expect((await readOne({ name: 'f', patch })).mode).toBe(0o644);
    const member = rawMember({ name: 'é' });
    const signed = member
      .subarray(0, 512)
      .reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : (byte << 24) >> 24), 0);
    member.write(`${signed.toString(8).padStart(6, '0')}\0 `, 148);
    expect(await read(Buffer.concat([member, Buffer.alloc(1024)]))).toHaveLength(1);
  });

  describe('the end', () => {
    const file = rawMember({ name: 'f', content: 'abc' });
    it.each([
      ['two blocks of zeros', Buffer.concat([file, Buffer.alloc(1024)])],
      ['one block of zeros', Buffer.concat([file, Buffer.alloc(512)])],
      ['nothing', file],
      ['a last member without padding', file.subarray(0, 515)],
      ['zeros up to a record of 10 KiB', Buffer.concat([file, Buffer.alloc(10240 - 1024)])],
      ['anything after two blocks of zeros', Buffer.concat([file, Buffer.alloc(1024), Buffer.from('junk')])],
    ])('may be %s', async (_, tar) => {
      expect(await read(tar)).toHaveLength(1);
      expect(await read(tar, 100)).toHaveLength(1);
    });

    it('may be all there is', async () => {
      expect(await read(Buffer.alloc(1024))).toEqual([]);
    });

    it.each([
      ['in a header', file.subarray(0, 300)],
      ['in the content', file.subarray(0, 514)],
      ['after an extended header', Buffer.concat([rawMember(pax({ path: 'x' })), Buffer.alloc(1024)])],
      ['in an extended header', rawMember(pax({ path: 'x'.repeat(600) })).subarray(0, 900)],
    ])('is no end %s', async (_, tar) => {
      await expect(read(tar)).rejects.toEqual(failing('E_BAD_ARCHIVE', /it ends/));
    });
  });

  describe('refuses', () => {
    it.each<[string, RawMember[], string, RegExp]>([
      ['a wrong checksum', [{ name: 'f', badChecksum: true }], 'E_BAD_ARCHIVE', /checksum/],
      ['a number that is none', [{ name: 'f', patch: (h) => void h.write('12x4567', 100) }], 'E_BAD_ARCHIVE', /mode/],
      ['digits behind a space', [{ name: 'f', patch: (h) => void h.write('644 7\0', 100) }], 'E_BAD_ARCHIVE', /mode/],
      [
        'a directory of the old kind with content',
        [{ name: 'd/', type: '\0', content: 'x' }],
        'E_BAD_ARCHIVE',
        /content/,
      ],
      ['such a directory with a size in pax', [pax({ size: '1' }), { name: 'd/' }], 'E_BAD_ARCHIVE', /content/],
      ['a root of the old kind', [{ name: '/', type: '\0' }], 'E_UNSAFE_ARCHIVE', /root/],
      ['an empty pax path', [pax({ path: '' }), { name: 'f' }], 'E_BAD_ARCHIVE', /path is empty/],
      ['an empty pax link', [pax({ linkpath: '' }), { name: 'f', type: '2', link: 'x' }], 'E_BAD_ARCHIVE', /is empty/],
      ['a volume label that is described', [pax({ path: 'x' }), { name: 'v', type: 'V' }], 'E_BAD_ARCHIVE', /label/],
      ['a NUL in a pax key', [pax({ 'SCHILY.xattr.user.a\0b': 'x' }), { name: 'f' }], 'E_BAD_ARCHIVE', /NUL/],
      ['blanks before a pax key', [pax({ ' path': 'x' }), { name: 'f' }], 'E_BAD_ARCHIVE', /pax/],
      ['a size beyond 2^53', [{ name: 'f', patch: (h) => void h.fill(0xbf, 124, 136) }], 'E_BAD_ARCHIVE', /size/],
      ['a negative size', [{ name: 'f', patch: (h) => void h.fill(0xff, 124, 136) }], 'E_BAD_ARCHIVE', /negative/],
      [
        'a negative size of a long name',
        [{ name: 'f', type: 'L', patch: (h) => void h.fill(0xff, 124, 136) }],
        'E_BAD_ARCHIVE',
        /negative/,
      ],
      ['an owner that chown leaves as it is', [pax({ uid: '4294967295' }), { name: 'f' }], 'E_BAD_ARCHIVE', /owner/],
      ['a group beyond 2^32', [pax({ gid: '99999999999' }), { name: 'f' }], 'E_BAD_ARCHIVE', /owner 0:99999999999/],
      ['a path with ..', [{ name: 'a/../../etc/passwd' }], 'E_UNSAFE_ARCHIVE', /leaves the root/],
      ['a hard link with ..', [{ name: 'a', type: '1', link: '../x' }], 'E_UNSAFE_ARCHIVE', /leaves the root/],
      ['a pax path with ..', [pax({ path: '../x' }), { name: 'a' }], 'E_UNSAFE_ARCHIVE', /leaves the root/],
      ['a root that is a link (CVE-2021-29136)', [{ name: '/.', type: '2', link: '/etc' }], 'E_UNSAFE_ARCHIVE', /root/],
      ['a root that is a file', [{ name: './', type: '6' }], 'E_UNSAFE_ARCHIVE', /root/],
      ['GNU sparse files', [{ name: 'f', type: 'S' }], 'E_UNSUPPORTED', /sparse/],
      ['pax sparse files', [pax({ 'GNU.sparse.major': '1' }), { name: 'f' }], 'E_UNSUPPORTED', /sparse/],
      ['unknown types', [{ name: 'f', type: 'Z' }], 'E_UNSUPPORTED', /unknown type "Z"/],
      ['a NUL in a pax path', [pax({ path: 'a\0b' }), { name: 'f' }], 'E_BAD_ARCHIVE', /NUL/],
      [
        'a pax record that is too long',
        [{ ...pax({}), content: '99 path=x\n' }, { name: 'f' }],
        'E_BAD_ARCHIVE',
        /pax/,
      ],
      ['a pax record without end', [{ ...pax({}), content: '8 path=x' }, { name: 'f' }], 'E_BAD_ARCHIVE', /pax/],
      ['a pax record without key', [{ ...pax({}), content: '5 =x\n' }, { name: 'f' }], 'E_BAD_ARCHIVE', /pax/],
      ['a pax size that is none', [pax({ size: '-1' }), { name: 'f' }], 'E_BAD_ARCHIVE', /size/],
      ['a global path', [pax({ path: 'x' }, 'g'), { name: 'f' }], 'E_UNSAFE_ARCHIVE', /global/],
      ['a link without target', [{ name: 'f', type: '2' }], 'E_BAD_ARCHIVE', /target/],
    ])('%s', async (_, members, code, message) => {
      await expect(read(rawTar(...members))).rejects.toEqual(failing(code, message));
    });

    it('an entry after a single block of zeros', async () => {
      const tar = Buffer.concat([rawMember({ name: 'a' }), Buffer.alloc(512), rawMember({ name: 'b' })]);
      await expect(read(tar)).rejects.toEqual(failing('E_BAD_ARCHIVE', /zeros/));
    });

    it('something that is no tar', async () => {
      await expect(read(Buffer.from('hello world\n'.repeat(100)))).rejects.toEqual(failing('E_BAD_ARCHIVE'));
    });
  });

  describe('limits', () => {
    it.each<[string, RawMember[], Partial<TarLimits>]>([
      ['entries', [{ name: 'a' }, { name: 'b' }, { name: 'c' }], { entries: 2 }],
      ['total bytes', [{ name: 'a', content: 'x'.repeat(5000) }], { totalBytes: 4096 }],
      ['path length', [gnuLong('L', 'x/'.repeat(2049)), { name: 'a' }], {}],
      ['path length in pax', [pax({ path: 'x/'.repeat(2049) }), { name: 'a' }], {}],
      ['depth', [pax({ path: 'x/'.repeat(300) }), { name: 'a' }], {}],
      ['link length', [pax({ linkpath: 'x'.repeat(4097) }), { name: 'a', type: '2', link: 'l' }], {}],
      [
        'pax headers',
        [{ name: 'p', type: 'x', content: paxRecord('comment', 'x'.repeat(1024 * 1024)) }, { name: 'a' }],
        {},
      ],
      ['names together', [{ name: 'a'.repeat(90) }, { name: 'b'.repeat(90) }], { metadata: 150 }],
      [
        'attributes together',
        [pax({ 'SCHILY.xattr.user.a': 'x'.repeat(99) }, 'g'), { name: 'a' }, { name: 'b' }],
        { metadata: 200 },
      ],
      ['names as JSON', [{ name: '\x01'.repeat(30) }], { metadata: 150 }],
      ['claimed pax headers', [{ name: 'p', type: 'x', size: 2 ** 32 }], {}],
    ])('%s', async (_, members, limits) => {
      await expect(read(rawTar(...members), 65536, limits)).rejects.toEqual(failing('E_UNSAFE_ARCHIVE', /more than/));
    });
  });

  it('never fails otherwise than with an error of ours, whatever the bytes', async () => {
    const base = rawTar(
      pax({ path: 'some/path', size: '10' }),
      { name: 'a', content: '0123456789' },
      gnuLong('L', 'b'),
      { name: 'x', type: '2', link: 'y' },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { maxLength: 8 }),
        fc.boolean(),
        async (edits, fix) => {
          const tar = Buffer.from(base);
          for (const [at, byte] of edits) tar[at] = byte;
          if (fix) fixChecksums(tar);
          try {
            await read(tar);
          } catch (error) {
            expect(error).toMatchObject({
              name: 'SlipwayError',
              code: expect.stringMatching(/^E_(BAD|UNSAFE)_ARCHIVE$|^E_UNSUPPORTED$/),
            });
          }
        },
      ),
      { numRuns: 400 },
    );
  });
});

/** Makes every block that looks like a header one with a right checksum. */
function fixChecksums(tar: Buffer): void {
  for (let at = 0; at < tar.length; at += 512) {
    if (tar.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
    tar.fill(' ', at + 148, at + 156);
    const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
  }
}

describe('finding members without reading their content', () => {
  /** Members and how many bytes were read for them. */
  async function scan(tar: Buffer, size = tar.length, limits: Partial<TarLimits> = {}) {
    const members: TarMember[] = [];
    let bytes = 0;
    const from = async (offset: number, length: number): Promise<Buffer> => {
      const chunk = tar.subarray(offset, offset + length);
      bytes += chunk.length;
      return chunk;
    };
    await scanTar(from, size, (member) => members.push(member), limits);
    return { members, bytes };
  }

  it('finds what reading finds, wherever the chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ size: fc.integer({ min: 0, max: 200_000 }), long: fc.boolean() }), { maxLength: 8 }),
        async (files) => {
          const tar = rawTar(
            ...files.flatMap(({ size, long }, index) => [
              ...(long ? [pax({ path: `${index}/${'p'.repeat(300)}` })] : []),
              { name: `${index}`, content: Buffer.alloc(size, index) },
            ]),
          );
          const { members } = await scan(tar);
          expect(members).toEqual((await read(tar)).map(({ text: _, ...member }) => member));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('passes over large content, and over what follows the end', async () => {
    const big = Buffer.alloc(5_000_000, 1);
    const tar = Buffer.concat([rawTar({ name: 'a', content: big }, { name: 'b', content: big }), big]);
    const { members, bytes } = await scan(tar);
    expect(members.map(({ path, offset }) => [path, offset])).toEqual([
      ['a', 512],
      ['b', 5_000_192 + 1024],
    ]);
    expect(bytes).toBeLessThan(400_000);
  });

  it('refuses what is cut off in content, in a header and in an extended header', async () => {
    const tar = rawTar({ name: 'a', content: Buffer.alloc(1_000_000) }, { name: 'b' });
    await expect(scan(tar.subarray(0, 900_000))).rejects.toEqual(failing('E_BAD_ARCHIVE', /middle of an entry/));
    await expect(scan(tar.subarray(0, 1_000_448 + 512 + 100))).rejects.toEqual(failing('E_BAD_ARCHIVE'));
    const described = rawTar(pax({ path: 'x' }), { name: 'a' });
    await expect(scan(described.subarray(0, 1024))).rejects.toEqual(failing('E_BAD_ARCHIVE', /extended header/));
    // a file that has become shorter since its size was asked
    await expect(scan(tar.subarray(0, 900_000), tar.length)).rejects.toEqual(failing('E_BAD_ARCHIVE'));
  });

  it('keeps the limits, also for what it does not read', async () => {
    const tar = rawTar({ name: 'a', content: Buffer.alloc(200_000) }, { name: '../b' });
    await expect(scan(tar)).rejects.toEqual(failing('E_UNSAFE_ARCHIVE', /leaves the root/));
    await expect(scan(tar, tar.length, { totalBytes: 150_000 })).rejects.toEqual(
      failing('E_UNSAFE_ARCHIVE', /too big/),
    );
    await expect(scan(tar, tar.length, { entries: 0 })).rejects.toEqual(failing('E_UNSAFE_ARCHIVE', /too many/));
  });
});
