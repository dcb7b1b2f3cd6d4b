import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  createReadStream,
  existsSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Compression } from '../../../src/image/media-types.js';
import { decompress } from '../../../src/layers/decompress.js';
import { indexLayer } from '../../../src/layers/index-layer.js';
import { type PackOptions, packLayer } from '../../../src/layers/pack.js';
import { scanTree } from '../../../src/layers/scan.js';
import type { PackEntry } from '../../../src/layers/toc.js';
import { unzstdInJavaScript } from '../../../src/layers/zstd.js';
import { inPieces } from '../../unit/layers/raw-tar.js';
import { withDirectory } from './trees.js';

const facts = { mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1_700_000_000 };

function fileEntry(file: string, path = 'file'): PackEntry {
  return { path, type: 'file', ...facts, size: statSync(file).size, content: { file } };
}

/** A file of `megabytes` that does something with itself while it is read: after `at` bytes of the tar. */
async function packWhile(megabytes: number, disturb: (file: string) => void, walked = false): Promise<void> {
  await withDirectory(async (dir) => {
    const file = join(dir, 'victim');
    const out = join(dir, 'layer');
    writeFileSync(file, Buffer.alloc(megabytes * 1024 * 1024, 'content '));
    utimesSync(file, 1_600_000_000, 1_600_000_000);
    let disturbed = false;
    const progress = () => {
      if (!disturbed) disturb(file);
      disturbed = true;
    };
    const entry = walked ? (await scanTree(dir)).find(({ path }) => path === 'victim') : fileEntry(file);
    const packing = packLayer(entry === undefined ? [] : [entry], out, { compression: 'none', progress });
    await expect(packing).rejects.toMatchObject({ code: 'E_FILE_CHANGED', message: expect.stringContaining(file) });
    expect(disturbed).toBe(true);
    expect(existsSync(out)).toBe(false);
  });
}

describe('a file that changes while it is packed', () => {
  it.each<[string, (file: string) => void]>([
    ['becomes longer', (file) => appendFileSync(file, 'x')],
    ['becomes shorter', (file) => truncateSync(file, 3 * 1024 * 1024)],
    [
      'is written to in place',
      (file) =>
        execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1', 'count=1', 'conv=notrunc'], { stdio: 'ignore' }),
    ],
    [
      'is written to, and its time set back',
      (file) => {
        execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1', 'count=1', 'conv=notrunc'], { stdio: 'ignore' });
        utimesSync(file, 1_600_000_000, 1_600_000_000);
      },
    ],
  ])('%s', async (_, disturb) => {
    await packWhile(8, disturb);
  });

  it('is noticed when its entry comes from a walk through its directory', async () => {
    await packWhile(8, (file) => appendFileSync(file, 'x'), true);
  });

  it.each<[string, (file: string) => void]>([
    ['has another size than when its entry was made', (file) => appendFileSync(file, 'more')],
    ['is gone', (file) => unlinkSync(file)],
    [
      'has become a link',
      (file) => {
        unlinkSync(file);
        symlinkSync('/etc/passwd', file);
      },
    ],
    [
      'has become a FIFO',
      (file) => {
        unlinkSync(file);
        execFileSync('mkfifo', [file]);
      },
    ],
    [
      'has been written to since its directory was read',
      (file) => {
        writeFileSync(file, 'CONTENT');
        utimesSync(file, 5, 5);
      },
    ],
  ])('%s', async (_, change) => {
    await withDirectory(async (dir) => {
      const file = join(dir, 'victim');
      writeFileSync(file, 'content');
      const entries = await scanTree(dir);
      change(file);
      await expect(packLayer(entries, join(dir, 'layer'), { compression: 'gzip' })).rejects.toMatchObject({
        code: 'E_FILE_CHANGED',
        message: expect.stringContaining(file),
      });
      expect(existsSync(join(dir, 'layer'))).toBe(false);
    });
  });
});

describe('packing a layer', () => {
  const hello: PackEntry = { path: 'hello', type: 'file', ...facts, size: 5, content: { bytes: Buffer.from('hello') } };

  it.each<[string, PackEntry[], string]>([
    ['a name that marks a whiteout', [{ ...hello, path: 'd/.wh.x' }], 'E_UNSUPPORTED'],
    ['the same path twice', [hello, hello], 'E_INTERNAL'],
    [
      'a hard link before its file',
      [{ path: 'a', type: 'hardlink', ...facts, linkTarget: 'hello' }, hello],
      'E_INTERNAL',
    ],
    [
      'a hard link to a directory',
      [
        { path: 'd', type: 'dir', ...facts },
        { path: 'e', type: 'hardlink', ...facts, linkTarget: 'd' },
      ],
      'E_INTERNAL',
    ],
    ['content of another size', [{ ...hello, size: 6 }], 'E_INTERNAL'],
  ])('refuses %s and leaves nothing behind', async (_, entries, code) => {
    await withDirectory(async (dir) => {
      const out = join(dir, 'layer');
      for (const compression of ['gzip', 'zstd', 'none'] as const) {
        await expect(packLayer(entries, out, { compression })).rejects.toMatchObject({ code });
        expect(existsSync(out)).toBe(false);
      }
    });
  });

  it.each<Compression>(['gzip', 'zstd', 'none'])('says so when the disk is full (%s)', async (compression) => {
    await withDirectory(async (dir) => {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
      try {
        await expect(
          packLayer([fileEntry('/usr/bin/perl'), fileEntry('/usr/bin/git', 'git')], join(dir, 'layer'), {
            compression,
          }),
        ).rejects.toMatchObject({ code: 'E_NO_SPACE' });
        expect(existsSync(join(dir, 'layer'))).toBe(false);
      } finally {
        execFileSync('umount', [dir]);
      }
    });
  });

  it('says so when it may not write', async () => {
    await expect(packLayer([hello], '/proc/nothing', { compression: 'none' })).rejects.toThrow();
  });

  it.each<Compression>(['gzip', 'zstd', 'none'])('stops when it is told to (%s)', async (compression) => {
    await withDirectory(async (dir) => {
      const stop = new AbortController();
      const options: PackOptions = {
        compression,
        signal: stop.signal,
        progress: () => stop.abort(new Error('enough')),
      };
      await expect(packLayer([fileEntry('/usr/bin/perl')], join(dir, 'layer'), options)).rejects.toThrow('enough');
      expect(existsSync(join(dir, 'layer'))).toBe(false);
    });
  });

  it('needs the program zstd, and says so', async () => {
    await withDirectory(async (dir) => {
      const path = process.env.PATH;
      process.env.PATH = dir;
      try {
        await expect(packLayer([hello], join(dir, 'layer'), { compression: 'zstd' })).rejects.toMatchObject({
          code: 'E_MISSING_PROGRAM',
          hint: expect.stringContaining('zstd'),
        });
      } finally {
        process.env.PATH = path;
      }
    });
  });

  it('gives the same bytes each time, with times no later than asked for', async () => {
    await withDirectory(async (dir) => {
      const old: PackEntry = { ...hello, path: 'old', mtime: 5 };
      const make = (name: string, options: Partial<PackOptions> = {}) =>
        packLayer([hello, old, fileEntry('/usr/bin/perl')], join(dir, name), {
          compression: 'gzip',
          mtimeClamp: 1000,
          ...options,
        });
      const first = await make('one');
      expect((await make('two')).digest).toBe(first.digest);
      expect(first.toc.entries.map(({ mtime }) => mtime)).toEqual([1000, 5, 1000]);
      expect(readFileSync(join(dir, 'one')).equals(readFileSync(join(dir, 'two')))).toBe(true);
      expect((await make('three', { level: 9 })).size).toBeLessThan(first.size);
      expect((await make('four', { level: 0 })).size).toBeGreaterThan(first.toc.unpackedSize);
      expect((await make('five', { level: 0 })).toc).toEqual(first.toc);
    });
  });

  it('tells how far it is', async () => {
    await withDirectory(async (dir) => {
      let bytes = 0;
      const { toc } = await packLayer([fileEntry('/usr/bin/perl')], join(dir, 'layer'), {
        compression: 'gzip',
        progress: (more) => {
          bytes += more;
        },
      });
      expect(bytes).toBe(toc.unpackedSize);
    });
  });

  it('packs nothing at all into a tar that tar reads', async () => {
    await withDirectory(async (dir) => {
      for (const compression of ['gzip', 'zstd', 'none'] as const) {
        const { toc } = await packLayer([], join(dir, 'layer'), { compression });
        expect(toc).toMatchObject({ unpackedSize: 1024, entries: [] });
        expect(
          execFileSync('tar', ['-tf', join(dir, 'layer'), ...(compression === 'zstd' ? ['--zstd'] : [])], {
            encoding: 'utf8',
          }),
        ).toBe('');
      }
    });
  });

  it('writes zstd that is also read without the program', async () => {
    await withDirectory(async (dir) => {
      const out = join(dir, 'layer');
      const packed = await packLayer([fileEntry('/usr/bin/perl')], out, { compression: 'zstd' });
      const bytes = readFileSync(out);
      expect(await indexLayer(unzstdInJavaScript(inPieces(bytes)), 'none')).toEqual(packed.toc);
      for (const broken of [bytes.subarray(0, bytes.length >> 1), Buffer.concat([Buffer.from('x'), bytes])]) {
        for (const unpacked of [unzstdInJavaScript(inPieces(broken)), decompress(inPieces(broken), 'zstd')]) {
          await expect(indexLayer(unpacked as AsyncIterable<Buffer>, 'none')).rejects.toMatchObject({
            code: 'E_BAD_ARCHIVE',
          });
        }
      }
      await expect(indexLayer(inPieces(Buffer.alloc(0)), 'zstd')).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
      // Several frames one after the other.
      const two = Buffer.concat([
        execFileSync('zstd', ['-qc'], { input: 'one ' }),
        execFileSync('zstd', ['-qc'], { input: 'two' }),
      ]);
      for (const unpacked of [unzstdInJavaScript(inPieces(two)), decompress(inPieces(two), 'zstd')]) {
        let text = '';
        for await (const piece of unpacked) text += piece.toString();
        expect(text).toBe('one two');
      }
    });
  });

  it('reads what gzip and pigz-like tools make in several members', async () => {
    await withDirectory(async (dir) => {
      const plain = join(dir, 'plain');
      const { toc } = await packLayer([fileEntry('/usr/bin/perl')], plain, { compression: 'none' });
      const tar = readFileSync(plain);
      const zipped = Buffer.concat(
        [tar.subarray(0, 1_000_000), tar.subarray(1_000_000)].map((part) =>
          execFileSync('gzip', ['-c'], { input: part, maxBuffer: 1e9 }),
        ),
      );
      expect(await indexLayer(inPieces(zipped), 'gzip')).toEqual(toc);
      expect(await indexLayer(createReadStream(plain), 'none')).toEqual(toc);
    });
  });
});
