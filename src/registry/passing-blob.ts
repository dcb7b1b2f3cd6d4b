import { createHash, type Hash } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';
import { algorithmOf, hexOf } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';

/** A source that is being read. */
interface Live {
  readonly pieces: AsyncIterator<Uint8Array>;
  /** Where the next piece begins. */
  position: number;
  /** What has been read beyond the part that was asked for. */
  rest: Uint8Array | undefined;
}

/**
 * A blob on its way from a place that cannot be relied on to one that does not compute digests for us, such as from registry to registry. Whoever
 * sends it asks for it in parts, and again from the middle when a connection broke: as long as parts follow each other the source is read in
 * one go. Its bytes are hashed as they pass, and the last of them is only given out when the digest is right.
 */
export class PassingBlob {
  readonly #blob: Pick<Descriptor, 'digest' | 'size'>;
  readonly #label: string;
  readonly #open: (start: number, end: number) => AsyncIterable<Uint8Array>;
  #hash: Hash;
  /** Bytes from the beginning that have been hashed. */
  #hashed = 0;
  #live: Live | undefined;

  /** @param label names the source in messages. */
  constructor(
    blob: Pick<Descriptor, 'digest' | 'size'>,
    label: string,
    open: (start: number, end: number) => AsyncIterable<Uint8Array>,
  ) {
    this.#blob = blob;
    this.#label = label;
    this.#open = open;
    this.#hash = createHash(algorithmOf(blob.digest));
  }

  /**
   * The bytes from `start` up to but without `end`; one part at a time.
   * @throws SlipwayError E_DIGEST_MISMATCH, E_SIZE_MISMATCH instead of the last byte.
   */
  async *read(start: number, end: number): AsyncGenerator<Uint8Array, void, void> {
    const { size } = this.#blob;
    if (start === 0) this.#restart(); // sent once more from the beginning: what is sent is what must be right
    if (size === 0) this.#check();
    const live = await this.#at(start);
    let complete = false;
    try {
      while (live.position < end) {
        const piece = await this.#next(live);
        if (piece === undefined) throw this.#sizeMismatch(String(live.position));
        const wanted = piece.subarray(0, end - live.position);
        if (wanted.length < piece.length) live.rest = piece.subarray(wanted.length);
        this.#take(wanted, live.position);
        live.position += wanted.length;
        if (live.position === size) await this.#finish(live);
        yield wanted;
      }
      complete = true;
    } finally {
      if (!complete) await this.close();
    }
  }

  /** Gives up the source. */
  async close(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    await live?.pieces.return?.();
  }

  #restart(): void {
    this.#hash = createHash(algorithmOf(this.#blob.digest));
    this.#hashed = 0;
  }

  /** The source at a position: the one that has come there, or a new one. */
  async #at(start: number): Promise<Live> {
    if (this.#live?.position === start) return this.#live;
    await this.close();
    // Nobody asks for what lies behind something that has not passed; if one does, that passes first.
    const from = Math.min(start, this.#hashed);
    const pieces = this.#open(from, this.#blob.size)[Symbol.asyncIterator]();
    const live: Live = { pieces, position: from, rest: undefined };
    this.#live = live;
    while (live.position < start) {
      const piece = await this.#next(live);
      if (piece === undefined) throw this.#sizeMismatch(String(live.position));
      const skipped = piece.subarray(0, start - live.position);
      if (skipped.length < piece.length) live.rest = piece.subarray(skipped.length);
      this.#take(skipped, live.position);
      live.position += skipped.length;
    }
    return live;
  }

  async #next(live: Live): Promise<Uint8Array | undefined> {
    const { rest } = live;
    live.rest = undefined;
    if (rest !== undefined) return rest;
    const { value, done } = await live.pieces.next();
    return done === true ? undefined : value;
  }

  #take(piece: Uint8Array, position: number): void {
    const fresh = piece.subarray(Math.max(0, this.#hashed - position));
    this.#hash.update(fresh);
    this.#hashed += fresh.length;
  }

  /** All bytes have passed: no more may come, and the digest must be right. */
  async #finish(live: Live): Promise<void> {
    if ((await this.#next(live)) !== undefined) throw this.#sizeMismatch(`more than ${this.#blob.size}`);
    this.#check();
  }

  #check(): void {
    const { digest } = this.#blob;
    const actual = this.#hash.copy().digest('hex');
    if (actual === hexOf(digest)) return;
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `blob ${digest} of ${this.#label} has the digest ${algorithmOf(digest)}:${actual}`,
      {
        hint: 'the content is damaged or was tampered with; nothing of it was kept. For one in the store: "slipway store check --repair"',
        details: { expected: digest, actual: `${algorithmOf(digest)}:${actual}` },
      },
    );
  }

  #sizeMismatch(found: string): SlipwayError {
    const { digest, size } = this.#blob;
    return new SlipwayError(
      'E_SIZE_MISMATCH',
      `blob ${digest} of ${this.#label} has ${found} bytes, ${size} were expected`,
      {
        hint: 'the transfer was cut short or the content was changed; try again',
        details: { digest, expected: size },
      },
    );
  }
}
