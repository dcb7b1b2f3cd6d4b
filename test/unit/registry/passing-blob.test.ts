import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256Digest } from '../../../src/image/digest.js';
import { PassingBlob } from '../../../src/registry/passing-blob.js';

/** A source of `bytes` in pieces, that counts how often and from where it was opened and how many were given up. */
function source(bytes: Buffer, piece: number) {
  const opened: number[] = [];
  let closed = 0;
  async function* open(start: number, end: number): AsyncGenerator<Uint8Array> {
    opened.push(start);
    try {
      for (let at = start; at < Math.min(end, bytes.length); at += piece)
        yield bytes.subarray(at, Math.min(at + piece, end));
    } finally {
      closed++;
    }
  }
  return { open, opened, closed: () => closed };
}

const descriptorOf = (bytes: Buffer) => ({
  digest: sha256Digest(createHash('sha256').update(bytes).digest('hex')),
  size: bytes.length,
});

async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

describe('a blob that passes', () => {
  it('is read in one go, in whatever parts it is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 12 }),
        async (content, piece, steps) => {
          const bytes = Buffer.from(content);
          const from = source(bytes, piece);
          const passing = new PassingBlob(descriptorOf(bytes), 'here', from.open);
          const got: Buffer[] = [];
          let at = 0;
          for (const step of [...steps, bytes.length]) {
            const end = Math.min(at + step, bytes.length);
            if (end > at) got.push(await readAll(passing.read(at, end)));
            at = end;
          }
          await passing.close();
          expect(Buffer.concat(got)).toEqual(bytes);
          expect(from.opened).toEqual(bytes.length === 0 ? [] : [0]);
          expect(from.closed()).toBe(from.opened.length);
        },
      ),
    );
  });

  it('goes on in the middle, and again from the beginning', async () => {
    const bytes = randomBytes(1000);
    const from = source(bytes, 64);
    const passing = new PassingBlob(descriptorOf(bytes), 'here', from.open);
    // a connection that breaks after 100 bytes, of which 50 have arrived
    for await (const _ of passing.read(0, 600)) break;
    expect(from.closed()).toBe(1);
    expect(await readAll(passing.read(50, 600))).toEqual(bytes.subarray(50, 600));
    expect(await readAll(passing.read(600, 1000))).toEqual(bytes.subarray(600));
    expect(await readAll(passing.read(0, 1000))).toEqual(bytes);
    expect(from.opened).toEqual([0, 50, 0]);
  });

  it('that is not what it should be never passes whole', async () => {
    const bytes = randomBytes(1000);
    const wrong = Buffer.from(bytes);
    wrong[3] = (wrong[3] ?? 0) ^ 1;
    const passed = async (content: Buffer, parts: readonly number[], size = 1000): Promise<number> => {
      const passing = new PassingBlob({ ...descriptorOf(bytes), size }, 'there', source(content, 100).open);
      let count = 0;
      let at = 0;
      const run = async (): Promise<void> => {
        for (const end of parts) {
          for await (const piece of passing.read(at, end)) count += piece.length;
          at = end;
        }
      };
      await expect(run()).rejects.toMatchObject({
        code: content.length === size ? 'E_DIGEST_MISMATCH' : 'E_SIZE_MISMATCH',
        message: expect.stringContaining('there'),
      });
      await passing.close();
      return count;
    };
    expect(await passed(wrong, [1000])).toBeLessThan(1000);
    expect(await passed(wrong, [300, 700, 1000])).toBeLessThan(1000);
    expect(await passed(bytes.subarray(0, 900), [500, 1000])).toBe(900);
    expect(await passed(Buffer.alloc(0), [1000])).toBe(0);
  });

  it('is not taken for another when it is sent once more and has changed', async () => {
    const bytes = randomBytes(500);
    const other = Buffer.from(bytes);
    other[0] = (other[0] ?? 0) ^ 1;
    let content = bytes;
    const passing = new PassingBlob(descriptorOf(bytes), 'here', (start, end) => source(content, 50).open(start, end));
    expect(await readAll(passing.read(0, 500))).toEqual(bytes);
    content = other;
    await expect(readAll(passing.read(0, 500))).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  });

  it('of no bytes is proven too', async () => {
    const empty = new PassingBlob(descriptorOf(Buffer.alloc(0)), 'here', source(Buffer.alloc(0), 1).open);
    expect(await readAll(empty.read(0, 0))).toEqual(Buffer.alloc(0));
    const wrong = new PassingBlob(
      { ...descriptorOf(Buffer.from('x')), size: 0 },
      'here',
      source(Buffer.alloc(0), 1).open,
    );
    await expect(readAll(wrong.read(0, 0))).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  });
});
