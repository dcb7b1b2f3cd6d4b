import { randomBytes } from 'node:crypto';
import { deflateRawSync, gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32, crc32ByTable } from '../../../src/layers/crc32.js';
import { decompress, sniffCompression } from '../../../src/layers/decompress.js';
import { GzipBlocks } from '../../../src/layers/gzip-blocks.js';
import { inPieces } from './raw-tar.js';

async function zipped(blocks: readonly Buffer[], level: number): Promise<Buffer> {
  const out: Buffer[] = [];
  const gzip = new GzipBlocks(level, async (bytes) => void out.push(bytes));
  for (const block of blocks) await gzip.write(block);
  await gzip.end();
  return Buffer.concat(out);
}

async function all(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

const blocks = fc.array(
  fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 5000 }).map((bytes) => Buffer.from(bytes)),
    fc.nat(200_000).map((length) => Buffer.alloc(length + 1, 'abcdefgh')),
    fc.nat(200_000).map((length) => randomBytes(length + 1)),
  ),
  { maxLength: 12 },
);

describe('gzip in blocks', () => {
  it('is gzip', async () => {
    await fc.assert(
      fc.asyncProperty(blocks, fc.constantFrom(0, 1, 3, 6, 9), async (input, level) => {
        const plain = Buffer.concat(input);
        expect(gunzipSync(await zipped(input, level)).equals(plain)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('has no time, no name and an unknown system in its header', async () => {
    expect((await zipped([Buffer.from('x')], 6)).subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
  });

  it('is the same each time', async () => {
    const input = Array.from({ length: 12 }, (_, index) =>
      index % 3 === 1 ? Buffer.alloc(100_000, 7) : randomBytes(90_000),
    );
    const first = await zipped(input, 3);
    expect((await zipped(input, 3)).equals(first)).toBe(true);
  });

  it('hardly grows what cannot be compressed', async () => {
    const input = Array.from({ length: 20 }, () => randomBytes(1024 * 1024));
    const size = 20 * 1024 * 1024;
    expect((await zipped(input, 3)).length).toBeLessThan(size * 1.0001);
  });

  it('goes on compressing after what cannot be compressed', async () => {
    const input = [
      ...Array.from({ length: 6 }, () => randomBytes(100_000)),
      ...Array.from({ length: 6 }, () => Buffer.alloc(100_000, 'ab')),
    ];
    expect((await zipped(input, 3)).length).toBeLessThan(610_000);
  });

  it('uses the end of one block for the next', async () => {
    const half = randomBytes(30_000);
    expect((await zipped([half, half], 6)).length).toBeLessThan(31_000);
  });

  it('tells of a failure to write', async () => {
    const gzip = new GzipBlocks(3, async () => Promise.reject(new Error('full')));
    await expect(gzip.write(Buffer.from('x'))).rejects.toThrow('full');
    await gzip.abandon();
  });
});

describe('crc32', () => {
  it('is the same with and without the help of zlib', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(crc32ByTable(b, crc32ByTable(a))).toBe(crc32(Buffer.concat([a, b])));
      }),
    );
    expect(crc32ByTable(Buffer.from('123456789'))).toBe(0xcbf43926);
  });
});

describe('decompressing', () => {
  const text = Buffer.from('some text, '.repeat(50_000));

  it('gives back gzip in one member, in several, and in any pieces', async () => {
    const half = text.length >> 1;
    const members = Buffer.concat([
      gzipSync(text.subarray(0, half)),
      gzipSync(Buffer.alloc(0)),
      gzipSync(text.subarray(half)),
    ]);
    for (const bytes of [gzipSync(text), members]) {
      for (const size of [7, 1000, 1_000_000])
        expect((await all(decompress(inPieces(bytes, size), 'gzip'))).equals(text)).toBe(true);
    }
  });

  it('passes uncompressed data on', async () => {
    expect((await all(decompress(inPieces(text), 'none'))).equals(text)).toBe(true);
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['cut', gzipSync(text).subarray(0, 500)],
    ['cut in the trailer', gzipSync(text).subarray(0, -3)],
    ['no gzip', text],
    ['raw deflate', deflateRawSync(text)],
    ['damaged', damaged(gzipSync(text))],
  ])('refuses what is %s', async (_, bytes) => {
    await expect(all(decompress(inPieces(bytes), 'gzip'))).rejects.toMatchObject({
      name: 'SlipwayError',
      code: 'E_BAD_ARCHIVE',
    });
  });

  it('lets the failure of its source through', async () => {
    async function* failing(): AsyncGenerator<Buffer> {
      yield gzipSync(text).subarray(0, 300);
      throw new Error('connection lost');
    }
    for (const compression of ['gzip', 'zstd', 'none'] as const) {
      await expect(all(decompress(failing(), compression))).rejects.toThrow('connection lost');
    }
  });

  it('ends its source when nobody reads on', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        const member = gzipSync(text);
        for (;;) yield member;
      } finally {
        ended = true;
      }
    }
    for await (const _ of decompress(endless(), 'gzip')) break;
    await expect.poll(() => ended).toBe(true);
  });

  it('knows compressions by their first bytes', () => {
    expect(sniffCompression(gzipSync(text))).toBe('gzip');
    expect(sniffCompression(Buffer.from('28b52ffd00', 'hex'))).toBe('zstd');
    expect(sniffCompression(Buffer.from('502a4d1804000000', 'hex'))).toBe('zstd');
    expect(sniffCompression(text)).toBe('none');
    expect(sniffCompression(Buffer.alloc(0))).toBe('none');
  });
});

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE((copy.readUInt32LE(copy.length - 8) ^ 1) >>> 0, copy.length - 8);
  return copy;
}
