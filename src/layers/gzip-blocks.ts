import { promisify } from 'node:util';
import { constants, deflateRaw, type ZlibOptions } from 'node:zlib';
import { crc32 } from './crc32.js';

const deflate = promisify<Buffer, ZlibOptions, Buffer>(deflateRaw);

/** Blocks compressed at once. A constant, not the number of processors: what is decided about a block depends on an earlier one. */
const IN_FLIGHT = 4;
/** Deflate looks back this far: the end of one block is the dictionary of the next. */
const WINDOW = 32 * 1024;
/** A block that does not shrink below this part of its size is stored as it is. */
const WORTHWHILE = 0.97;
const PROBE = 16 * 1024;
const STORED_MAX = 0xffff;
/** RFC 1952: deflate, no flags, no time, OS unknown. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** An empty last block with fixed codes (RFC 1951). */
const LAST_BLOCK = Buffer.from([3, 0]);

interface Packed {
  readonly bytes: Buffer;
  readonly stored: boolean;
}

/**
 * Compresses a stream into one gzip member, several blocks at once on the thread pool. Each block is deflated by itself, with the end of
 * the block before as dictionary, and ends on a byte boundary (a sync flush), so that the blocks only need to be put one after the other.
 * The bytes depend on the blocks and the level alone. Blocks that do not shrink are stored; after such a block, later ones are
 * probed before they are compressed, so that images and archives pass at the speed of the disk.
 */
export class GzipBlocks {
  readonly #level: number;
  readonly #emit: (bytes: Buffer) => Promise<void>;
  readonly #release: (block: Buffer) => void;
  readonly #queue: { readonly block: Buffer; readonly packed: Promise<Packed> }[] = [];
  #doubtful = false;
  #dictionary: Buffer | undefined;
  /** The block that has been taken last: the next one still has its end as dictionary. */
  #last: Buffer | undefined;
  #crc = 0;
  #size = 0;

  /**
   * @param level 0 stores, 9 is the smallest.
   * @param emit gets the compressed bytes in order, one call at a time.
   * @param release gets each block back once it is not needed any more.
   */
  constructor(level: number, emit: (bytes: Buffer) => Promise<void>, release: (block: Buffer) => void = () => {}) {
    this.#level = level;
    this.#emit = emit;
    this.#release = release;
  }

  /** Takes over `block`, which must not be written to until it is released. Waits when too many blocks are under way. */
  async write(block: Buffer): Promise<void> {
    if (this.#size === 0) await this.#emit(HEADER);
    if (this.#queue.length === IN_FLIGHT) await this.#takeOne();
    this.#crc = crc32(block, this.#crc);
    this.#size += block.length;
    const packed = packBlock(block, this.#level, this.#dictionary, this.#doubtful);
    // Failures are met when the block's turn comes; until then they are not unhandled.
    packed.catch(() => {});
    this.#queue.push({ block, packed });
    this.#dictionary = block.subarray(Math.max(0, block.length - WINDOW));
  }

  async end(): Promise<void> {
    if (this.#size === 0) await this.#emit(HEADER);
    while (this.#queue.length > 0) await this.#takeOne();
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(this.#crc, 0);
    trailer.writeUInt32LE(this.#size % 2 ** 32, 4);
    await this.#emit(Buffer.concat([LAST_BLOCK, trailer]));
  }

  /** Waits for what is under way on the thread pool, after a failure. */
  async abandon(): Promise<void> {
    await Promise.allSettled(this.#queue.splice(0).map(({ packed }) => packed));
  }

  async #takeOne(): Promise<void> {
    const next = this.#queue.shift();
    if (next === undefined) return;
    const { bytes, stored } = await next.packed;
    this.#doubtful = stored;
    if (this.#last !== undefined) this.#release(this.#last);
    this.#last = next.block;
    await this.#emit(bytes);
  }
}

async function packBlock(
  block: Buffer,
  level: number,
  dictionary: Buffer | undefined,
  doubtful: boolean,
): Promise<Packed> {
  if (level === 0 || (doubtful && !(await probe(block)))) return { bytes: storedBlocks(block), stored: true };
  const bytes = await deflate(block, {
    level,
    // A bigger hash table than the default's: faster, and hardly larger output.
    memLevel: 9,
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: block.length + (block.length >> 8) + 1024,
    ...(dictionary === undefined ? {} : { dictionary }),
  });
  return bytes.length < block.length * WORTHWHILE
    ? { bytes, stored: false }
    : { bytes: storedBlocks(block), stored: true };
}

/** Whether two samples of a block, from its beginning and its middle, shrink. */
async function probe(block: Buffer): Promise<boolean> {
  const middle = block.length >> 1;
  const sample = Buffer.concat([block.subarray(0, PROBE), block.subarray(middle, middle + PROBE)]);
  const bytes = await deflate(sample, { level: 1, finishFlush: constants.Z_SYNC_FLUSH });
  return bytes.length < sample.length * WORTHWHILE;
}

/** Deflate's stored blocks (RFC 1951, 3.2.4), none of them the last. */
function storedBlocks(block: Buffer): Buffer {
  const out = Buffer.allocUnsafeSlow(block.length + 5 * Math.ceil(block.length / STORED_MAX));
  let at = 0;
  for (let from = 0; from < block.length; from += STORED_MAX) {
    const length = Math.min(STORED_MAX, block.length - from);
    out[at] = 0;
    out.writeUInt16LE(length, at + 1);
    out.writeUInt16LE(length ^ 0xffff, at + 3);
    block.copy(out, at + 5, from, from + length);
    at += 5 + length;
  }
  return out;
}
