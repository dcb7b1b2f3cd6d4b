import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { type UnpackOptions, unpackLayer } from '../../../src/layers/unpack.js';
import { readXattrs, writeXattrs } from '../../../src/layers/xattrs.js';
import { tempDirectory } from '../../support/temp.js';
import { inPieces, pax, type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { importLayers } from './compiled.js';
import { snapshot, withDirectory } from './trees.js';

/** A root to unpack into, with things beside it that nothing may touch. */
async function withRoot<T>(work: (root: string, outside: string) => Promise<T>): Promise<T> {
  return withDirectory(async (dir) => {
    const root = join(dir, 'root');
    const outside = join(dir, 'outside');
    mkdirSync(root);
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 });
    writeFileSync(join(dir, 'neighbour'), 'neighbour');
    const beside = () => snapshot(dir).filter(({ path }) => path !== 'root' && !path.startsWith('root/'));
    const before = beside();
    try {
      return await work(root, outside);
    } finally {
      expect(beside()).toEqual(before);
      expect(lstatSync(join(outside, 'secret')).nlink).toBe(1);
    }
  });
}

const text = (file: string): string => readFileSync(file, 'utf8');

const compiled = await importLayers(tempDirectory());

describe.each([
  { where: 'in this process', unpackHere: unpackLayer },
  { where: 'in a confined process', unpackHere: compiled.unpackLayer },
])('$where', ({ where, unpackHere }) => {
  async function unpack(root: string, members: readonly RawMember[] | Buffer, options: Partial<UnpackOptions> = {}) {
    const tar = Buffer.isBuffer(members) ? members : rawTar(...members);
    const said: string[] = [];
    const debug = (line: string) => said.push(line);
    try {
      return await unpackHere(inPieces(tar), { compression: 'none', dir: root, whiteouts: 'apply', ...options, debug });
    } finally {
      if (where === 'in a confined process' && existsSync(root)) expect(said[0]).toContain(`reaches ${root} only`);
    }
  }

  describe('an archive that wants to write outside', () => {
    const refused: [string, (outside: string) => RawMember[], string][] = [
      ['through ..', () => [{ name: '../neighbour', content: 'x' }], 'E_UNSAFE_ARCHIVE'],
      ['through .. in the middle', () => [{ name: 'a/../../neighbour', content: 'x' }], 'E_UNSAFE_ARCHIVE'],
      [
        'by making its root a link (CVE-2021-29136)',
        (o) => [
          { name: '/.', type: '2', link: o },
          { name: 'secret', content: 'x' },
        ],
        'E_UNSAFE_ARCHIVE',
      ],
      ['by a root link called ./', (o) => [{ name: './', type: '2', link: o }], 'E_UNSAFE_ARCHIVE'],
      [
        'by a hard link to what is beside',
        () => [
          { name: 'a', type: '1', link: '../neighbour' },
          { name: 'a', content: 'x' },
        ],
        'E_UNSAFE_ARCHIVE',
      ],
      [
        'by a hard link to an absolute path (CVE-2025-48387)',
        (o) => [{ name: 'a', type: '1', link: `${o}/secret` }],
        'E_BAD_ARCHIVE',
      ],
      [
        'by a hard link relative to the process',
        () => [{ name: 'a', type: '1', link: 'package.json' }],
        'E_BAD_ARCHIVE',
      ],
      ['by a hard link to its root', () => [{ name: 'a', type: '1', link: './' }], 'E_BAD_ARCHIVE'],
      [
        'by a hard link through a chain of links (CVE-2026-26960)',
        (o) => [
          { name: 'one', type: '2', link: o },
          { name: 'two', type: '2', link: 'one' },
          { name: 'three', type: '1', link: 'two/secret' },
          { name: 'three', content: 'x' },
        ],
        'E_BAD_ARCHIVE',
      ],
      ['by a whiteout of ..', () => [{ name: 'a/.wh...' }], 'E_UNSAFE_ARCHIVE'],
      ['by a whiteout of .', () => [{ name: 'a/.wh..' }], 'E_UNSAFE_ARCHIVE'],
      ['by a whiteout of nothing', () => [{ name: 'a/.wh.' }], 'E_UNSAFE_ARCHIVE'],
      ['inside a whiteout', () => [{ name: 'a/.wh.b/c' }], 'E_UNSAFE_ARCHIVE'],
      ['with a device', () => [{ name: 'sda', type: '4', device: [8, 0] }], 'E_UNSAFE_ARCHIVE'],
      ['with a device in disguise of a whiteout', () => [{ name: 'a', type: '3', device: [0, 0] }], 'E_UNSAFE_ARCHIVE'],
      [
        'by links in a circle',
        () => [
          { name: 'a', type: '2', link: 'b' },
          { name: 'b', type: '2', link: 'a' },
          { name: 'a/x', content: 'x' },
        ],
        'E_UNSAFE_ARCHIVE',
      ],
      [
        'by a bomb of links',
        () => [
          ...Array.from(
            { length: 30 },
            (_, i): RawMember => ({ name: `l${i + 1}`, type: '2', link: `l${i}/../l${i}` }),
          ),
          { name: 'l0', type: '5' },
          { name: 'l30/x', content: 'x' },
        ],
        'E_UNSAFE_ARCHIVE',
      ],
      ['with a name no file system takes', () => [pax({ path: 'n'.repeat(300) }), { name: 'x' }], 'E_BAD_ARCHIVE'],
      [
        'by a hard link over the directory of its target',
        () => [
          { name: 'd/x', content: 'x' },
          { name: 'd', type: '1', link: 'd/x' },
        ],
        'E_BAD_ARCHIVE',
      ],
      [
        'by a hard link to itself',
        () => [
          { name: 'x', content: 'x' },
          { name: './x', type: '1', link: 'x' },
        ],
        'E_BAD_ARCHIVE',
      ],
    ];
    describe.each(['apply', 'overlay'] as const)('(whiteouts: %s)', (whiteouts) => {
      it.each(refused)('%s', async (_, members, code) => {
        await withRoot(async (root, outside) => {
          await expect(unpack(root, members(outside), { whiteouts })).rejects.toMatchObject({
            name: 'SlipwayError',
            code,
          });
        });
      });

      it('through an absolute link stays inside its root', async () => {
        await withRoot(async (root, outside) => {
          await unpack(
            root,
            [
              { name: 'link', type: '2', link: outside },
              { name: 'link/secret', content: 'mine' },
            ],
            { whiteouts },
          );
          expect(text(join(root, outside, 'secret'))).toBe('mine');
        });
      });

      it('through a relative link stays inside its root', async () => {
        await withRoot(async (root) => {
          await unpack(
            root,
            [
              { name: 'link', type: '2', link: '../../../../outside' },
              { name: 'link/secret', content: 'mine' },
            ],
            { whiteouts },
          );
          expect(text(join(root, 'outside/secret'))).toBe('mine');
        });
      });

      it('through a chain of links (CVE-2025-59343) stays inside its root', async () => {
        await withRoot(async (root) => {
          const members: RawMember[] = [
            { name: 'a/', type: '5' },
            { name: 'a/up', type: '2', link: '..' },
            { name: 'a/up2', type: '2', link: 'up/..' },
            { name: 'a/up3', type: '2', link: 'up2/../outside' },
            { name: 'a/up3/secret', content: 'mine' },
          ];
          await unpack(root, members, { whiteouts });
          expect(text(join(root, 'outside/secret'))).toBe('mine');
        });
      });

      it('through the last link replaces it', async () => {
        await withRoot(async (root, outside) => {
          const link = { name: 'x', type: '2', link: join(outside, 'secret') };
          await unpack(root, [link, { name: 'x', content: 'mine' }], { whiteouts });
          expect(lstatSync(join(root, 'x')).isFile()).toBe(true);
          await unpack(
            root,
            [
              { ...link, name: 'd' },
              { name: 'd/', type: '5', mode: 0o777 },
            ],
            { whiteouts },
          );
          expect(lstatSync(join(root, 'd')).isDirectory()).toBe(true);
        });
      });

      it('by swapping a directory for a link after it has been used', async () => {
        await withRoot(async (root, outside) => {
          const members: RawMember[] = [
            { name: 'd/', type: '5', mode: 0o777, mtime: 5 },
            { name: 'd/one', content: '1' },
            { name: 'd', type: '2', link: outside },
            { name: 'd/secret', content: 'mine' },
          ];
          await unpack(root, members, { whiteouts });
          expect(readlinkSync(join(root, 'd'))).toBe(outside);
          expect(text(join(root, outside, 'secret'))).toBe('mine');
        });
      });

      it('with the attributes of a directory that has become a link', async () => {
        await withRoot(async (root, outside) => {
          await unpack(
            root,
            [
              { name: 'd/sub/', type: '5', mode: 0o777, mtime: 5 },
              { name: 'd', type: '2', link: outside },
            ],
            { whiteouts },
          );
        });
      });

      it('never writes into a file that has another name', async () => {
        await withRoot(async (root) => {
          await unpack(
            root,
            [
              { name: 'a', content: 'old' },
              { name: 'b', type: '1', link: 'a' },
              { name: 'b', content: 'new' },
            ],
            { whiteouts },
          );
          expect([text(join(root, 'a')), text(join(root, 'b'))]).toEqual(['old', 'new']);
        });
      });

      it('makes hard links to links, not to where they lead', async () => {
        await withRoot(async (root, outside) => {
          await unpack(
            root,
            [
              { name: 'a', type: '2', link: `${outside}/secret` },
              { name: 'b', type: '1', link: 'a' },
            ],
            { whiteouts },
          );
          expect(readlinkSync(join(root, 'b'))).toBe(`${outside}/secret`);
        });
      });

      it('with attributes of overlayfs is stripped of them', async () => {
        await withRoot(async (root) => {
          const xattrs = {
            'SCHILY.xattr.trusted.overlay.redirect': '/outside',
            'SCHILY.xattr.user.overlay.opaque': 'y',
            'SCHILY.xattr.user.fine': 'yes',
          };
          const toc = await unpack(root, [pax(xattrs), { name: 'd/', type: '5' }], { whiteouts });
          expect(toc.entries[0]?.xattrs).toEqual({ 'user.fine': Buffer.from('yes').toString('base64') });
          const perl =
            'my $n = "\\0" x 999; my $l = syscall(194, $ARGV[0], $n, 999); print join ",", split /\\0/, substr $n, 0, $l';
          if (process.arch === 'x64')
            expect(execFileSync('perl', ['-e', perl, join(root, 'd')], { encoding: 'utf8' })).toBe('user.fine');
        });
      });
    });

    it('by attributes of a link sets them on the link itself', async () => {
      await withRoot(async (root, outside) => {
        const file = join(outside, 'secret');
        await unpack(root, [pax({ 'SCHILY.xattr.trusted.mark': 'x' }), { name: 'link', type: '2', link: file }]);
        expect(await readXattrs(outside, ['secret'])).toEqual([undefined]);
        expect(await readXattrs(root, ['link'])).toEqual([{ 'trusted.mark': Buffer.from('x').toString('base64') }]);
      });
    });

    it('by a whiteout through a link, to the outside or inside', async () => {
      await withRoot(async (root, outside) => {
        mkdirSync(join(root, 'real'));
        writeFileSync(join(root, 'real/keep'), 'keep');
        symlinkSync(outside, join(root, 'link'));
        symlinkSync('real', join(root, 'inner'));
        symlinkSync('inner', join(root, 'chain'));
        await unpack(root, [
          { name: 'link/.wh.secret' },
          { name: 'link/.wh..wh..opq' },
          { name: 'inner/.wh.keep' },
          { name: 'chain/.wh..wh..opq' },
        ]);
        expect(text(join(root, 'real/keep'))).toBe('keep');
        expect(readlinkSync(join(root, 'link'))).toBe(outside);
      });
    });

    it('by a whiteout of a link removes the link alone', async () => {
      await withRoot(async (root, outside) => {
        symlinkSync(outside, join(root, 'link'));
        mkdirSync(join(root, 'd'));
        symlinkSync(outside, join(root, 'd/link'));
        await unpack(root, [{ name: '.wh.link' }, { name: '.wh.d' }]);
        expect(readdirSync(root)).toEqual([]);
      });
    });

    it('over links that lower layers left', async () => {
      await withRoot(async (root, outside) => {
        symlinkSync(outside, join(root, 'lib'));
        symlinkSync(join(outside, 'secret'), join(root, 'file'));
        linkSync(join(root, 'file'), join(root, 'other'));
        await unpack(root, [
          { name: 'lib/secret', content: 'mine' },
          { name: 'file', content: 'mine' },
        ]);
        expect(text(join(root, outside, 'secret'))).toBe('mine');
        expect(text(join(root, 'file'))).toBe('mine');
      });
    });
  });

  describe('what a layer may and may not do', () => {
    it('loses setuid and file capabilities unless it is a rootfs', async () => {
      await withRoot(async (root) => {
        const members: RawMember[] = [
          { name: 'su', mode: 0o6755 },
          { name: 'tmp/', type: '5', mode: 0o3777 },
        ];
        await unpack(root, members);
        expect(lstatSync(join(root, 'su')).mode & 0o7777).toBe(0o755);
        expect(lstatSync(join(root, 'tmp')).mode & 0o7777).toBe(0o3777);
        await unpack(root, members, { setuid: true });
        expect(lstatSync(join(root, 'su')).mode & 0o7777).toBe(0o6755);
      });
    });

    it('keeps setuid although the owner changes', async () => {
      await withRoot(async (root) => {
        await unpack(root, [{ name: 'su', mode: 0o4755, uid: 1234, gid: 4321 }], { whiteouts: 'overlay' });
        expect(lstatSync(join(root, 'su'))).toMatchObject({ uid: 1234, gid: 4321, mode: 0o104755 });
      });
    });

    it('makes devices only when that is allowed', async () => {
      await withRoot(async (root) => {
        await unpack(root, [{ name: "it's null", type: '3', device: [1, 3], mode: 0o666 }], { allowDevices: true });
        const stats = lstatSync(join(root, "it's null"));
        expect([stats.isCharacterDevice(), stats.rdev, stats.mode & 0o777]).toEqual([true, (1 << 8) | 3, 0o666]);
      });
    });

    it('by an attribute whose name holds commands for the helper that sets attributes', async () => {
      await withRoot(async (root, outside) => {
        const name = `user.a\x00\x0061\0w\0${join(outside, 'secret')}\0user.pwned`;
        const members = [pax({ [`SCHILY.xattr.${name}`]: 'yes' }), { name: 'f' }];
        await expect(unpack(root, members)).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
        // Nor when such a name comes another way.
        await expect(writeXattrs(root, [{ path: 'f', xattrs: { [name]: '' } }])).rejects.toMatchObject({
          code: 'E_UNSAFE_ARCHIVE',
        });
        expect(await readXattrs(outside, ['secret'])).toEqual([undefined]);
      });
    });

    it.each([
      ['a name that is too long', `user.${'a'.repeat(300)}`, 'x'],
      ['a value that is too long', 'user.a', 'x'.repeat(70_000)],
    ])('by an attribute with %s', async (_, name, value) => {
      await withRoot(async (root) => {
        const members = [pax({ [`SCHILY.xattr.${name}`]: value }), { name: 'f' }];
        await expect(unpack(root, members)).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
      });
    });

    it('with attributes that no file of Linux can have loses them', async () => {
      await withRoot(async (root) => {
        const attribute = (name: string): RawMember => pax({ [`SCHILY.xattr.${name}`]: 'x' });
        const toc = await unpack(root, [
          attribute('user.a'),
          { name: 'link', type: '2', link: 'x' },
          attribute('__proto__'),
          { name: 'f' },
          attribute('user.'),
          { name: 'g' },
          attribute('other.name'),
          { name: 'h' },
        ]);
        expect(toc.entries.map(({ path, xattrs }) => [path, xattrs])).toEqual([
          ['link', undefined],
          ['f', undefined],
          ['g', undefined],
          ['h', undefined],
        ]);
      });
    });

    it('never makes the device 0/0, which is a whiteout of overlayfs', async () => {
      await withRoot(async (root) => {
        const device: RawMember = { name: 'd', type: '3', device: [0, 0] };
        await expect(unpack(root, [device], { allowDevices: true })).rejects.toMatchObject({
          code: 'E_UNSAFE_ARCHIVE',
        });
      });
    });

    it('makes FIFOs, of odd names as well', async () => {
      await withRoot(async (root) => {
        await unpack(root, [pax({ path: "a 'b' $(touch x)\n" }), { name: 'x', type: '6', mode: 0o640 }]);
        expect(snapshot(root)).toMatchObject([{ path: "a 'b' $(touch x)\n", kind: 'fifo', mode: '640' }]);
      });
    });

    it('sets the times and modes of directories last', async () => {
      await withRoot(async (root) => {
        await unpack(root, [
          { name: 'd/', type: '5', mode: 0o555, mtime: 1000 },
          { name: 'd/e/', type: '5', mode: 0o500, mtime: 2000 },
          { name: 'd/e/f', content: 'x', mtime: 3000 },
        ]);
        expect(snapshot(root).map(({ path, mode, mtime }) => [path, mode, mtime])).toEqual([
          ['d', '555', 1000],
          ['d/e', '500', 2000],
          ['d/e/f', '644', 3000],
        ]);
      });
    });

    it('hides what is below, never what it brings itself', async () => {
      await withRoot(async (root) => {
        await unpack(root, [
          { name: 'd/old', content: '1' },
          { name: 'd/sub/old', content: '1' },
          { name: 'e/old', content: '1' },
          { name: 'f', content: '1' },
        ]);
        await unpack(root, [
          { name: 'd/new', content: '2' },
          { name: 'd/sub/new', content: '2' },
          { name: 'd/.wh..wh..opq' },
          { name: 'e/new', content: '2' },
          { name: '.wh.e' },
          { name: '.wh.f' },
          { name: '.wh.none' },
          { name: 'none/.wh.x' },
        ]);
        expect(snapshot(root).map(({ path }) => path)).toEqual(['d', 'd/new', 'd/sub', 'd/sub/new', 'e', 'e/new']);
      });
    });

    it('ignores what AUFS left', async () => {
      await withRoot(async (root) => {
        const toc = await unpack(root, [
          { name: '.wh..wh.aufs' },
          { name: '.wh..wh.plnk/', type: '5' },
          { name: '.wh..wh.plnk/1.2', content: 'x' },
          { name: 'a', content: 'a' },
        ]);
        expect(toc.entries.map(({ path }) => path)).toEqual(['a']);
        expect(readdirSync(root)).toEqual(['a']);
      });
    });

    it('must be what was promised', async () => {
      await withRoot(async (root) => {
        const tar = rawTar({ name: 'a', content: 'a' });
        await expect(unpack(root, tar, { expect: { diffId: digestOf('other') } })).rejects.toMatchObject({
          code: 'E_DIGEST_MISMATCH',
        });
        // What comes after the end of the tar counts too.
        const longer = Buffer.concat([tar, Buffer.from('tail')]);
        await expect(unpack(root, longer, { expect: { diffId: digestOf(tar) } })).rejects.toMatchObject({
          code: 'E_DIGEST_MISMATCH',
        });
        expect((await unpack(root, longer, { expect: { diffId: digestOf(longer) } })).unpackedSize).toBe(longer.length);
      });
    });

    it('must not be truncated', async () => {
      await withRoot(async (root) => {
        const zipped = gzipSync(rawTar({ name: 'a', content: 'a'.repeat(9000) }));
        for (const cut of [0, 5, 20, zipped.length - 9, zipped.length - 1]) {
          await expect(unpack(root, zipped.subarray(0, cut), { compression: 'gzip' })).rejects.toMatchObject({
            code: 'E_BAD_ARCHIVE',
          });
        }
      });
    });

    it('must not be a bomb', async () => {
      await withRoot(async (root) => {
        await expect(unpack(root, [{ name: 'a' }, { name: 'b' }], { limits: { entries: 1 } })).rejects.toMatchObject({
          code: 'E_UNSAFE_ARCHIVE',
        });
        const pipes = Array.from({ length: 3 }, (_, index): RawMember => ({ name: `p${index}`, type: '6' }));
        await expect(unpack(root, pipes, { limits: { specialFiles: 2 } })).rejects.toMatchObject({
          code: 'E_UNSAFE_ARCHIVE',
        });
      });
    });

    it('says so when the disk is full', async () => {
      await withDirectory(async (dir) => {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', dir]);
        try {
          await expect(unpack(dir, [{ name: 'big', content: 'x'.repeat(1_000_000) }])).rejects.toMatchObject({
            code: 'E_NO_SPACE',
          });
        } finally {
          execFileSync('umount', [dir]);
        }
      });
    });

    it('needs a directory', async () => {
      await withRoot(async (root) => {
        await expect(unpack(join(root, 'none'), [])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
        expect(existsSync(join(root, 'none'))).toBe(false);
      });
    });
  });
});
