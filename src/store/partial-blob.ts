import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { algorithmOf, type Digest, hexOf, shortDigest } from '../image/digest.js';
import type { Blobs } from './blobs.js';
import { FileSink } from './file-sink.js';
import { type FileLock, type LockOptions, tryLock } from './locks.js';
import { PARTIAL_CONTENT, partialName } from './partial-names.js';
import { removeCorner, type TempSpace } from './temp.js';

/** Below this many bytes a second download costs less than the lock. */
const SHARED_FROM = 256 * 1024;

/** Where blobs are kept, and what is unfinished of them: the store, or another OCI layout. */
export interface BlobPlace {
  readonly blobs: Blobs;
  readonly temp: TempSpace;
  /** How other processes that fetch the same are waited for. */
  readonly waiting?: LockOptions;
}

export interface ReceiveOptions {
  /** The bytes of the blob from `start` on, up to but without `end`. */
  readonly open: (start: number, end: number) => AsyncIterable<Uint8Array>;
  /** Called with the number of bytes that have come; negative when some must come again. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** What is in the store under this digest is damaged: it is replaced. */
  readonly replace?: boolean;
  /** Lets somebody read the file while it grows. Not asked for blobs that are small. */
  readonly follow?: ((path: string) => Promise<BlobFollower>) | undefined;
}

/** Reads a blob while it is written. */
export interface BlobFollower {
  /** So many bytes more are in the file. */
  grown(bytes: number): void;
  /** All bytes are, and they are the right ones. */
  complete(): void;
  /** The blob will not come, or not as it began. */
  cancel(): void;
}

/**
 * Brings a blob into the store, or another place. Processes that want the same one share the work: one receives it, the others wait for that. What has
 * arrived when one is interrupted, or killed, stays for a day, and whoever comes next goes on there, having hashed it again.
 * @returns `exists` when another process has brought it meanwhile.
 * @throws SlipwayError E_DIGEST_MISMATCH, E_SIZE_MISMATCH: nothing is kept. E_NO_SPACE. Errors of `open`: what has arrived is kept.
 */
export async function receiveBlob(
  place: BlobPlace,
  { digest, size }: { readonly digest: Digest; readonly size: number },
  { open: source, onProgress = () => {}, signal, replace = false, follow }: ReceiveOptions,
): Promise<'exists' | 'copied'> {
  if (size < SHARED_FROM && !replace) {
    const writer = await place.blobs.create(digest);
    try {
      for await (const chunk of source(0, size)) {
        await writer.write(chunk);
        onProgress(chunk.byteLength);
      }
      await writer.commit({ digest, size });
      return 'copied';
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }
  const { dir, lock } = await takeCorner(place, digest, signal);
  try {
    if (!replace && (await place.blobs.size(digest)) === size) {
      await removeCorner(dir);
      return 'exists';
    }
    const partial = new PartialBlob(join(dir, PARTIAL_CONTENT), digest, size);
    await receive(partial, source, onProgress, follow);
    await place.blobs.adopt(partial.file, { digest, size }, { replace });
    await removeCorner(dir);
    return 'copied';
  } catch (error) {
    // What is wrong is worth nothing, and on a full disk what is left must not stand in the way.
    const worthless = isSlipwayError(error, 'E_DIGEST_MISMATCH', 'E_SIZE_MISMATCH', 'E_NO_SPACE');
    if (worthless || (await isEmpty(join(dir, PARTIAL_CONTENT)))) await removeCorner(dir);
    throw error;
  } finally {
    await lock.release();
  }
}

/** The corner of a blob, locked. Its lock file goes with it, so whoever waited must look whether it is still the one in place. */
async function takeCorner(
  { temp, waiting }: BlobPlace,
  digest: Digest,
  signal: AbortSignal | undefined,
): Promise<{ readonly dir: string; readonly lock: FileLock }> {
  const dir = join(temp.root, partialName(digest));
  const options = { ...waiting, what: `blob ${shortDigest(digest)}`, ...(signal === undefined ? {} : { signal }) };
  for (;;) {
    try {
      await makeDirectory(dir);
      const lock = await tryLock(join(dir, 'lock'), 'exclusive', options);
      if (lock === undefined) continue;
      if (await lock.isCurrent()) return { dir, lock };
      await lock.release();
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fileSystemError(error, `writing to ${dir}`); // removed by who had it
    }
  }
}

async function isEmpty(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found === undefined || found.size === 0;
}

async function receive(
  partial: PartialBlob,
  source: ReceiveOptions['open'],
  onProgress: (bytes: number) => void,
  follow: ReceiveOptions['follow'],
): Promise<void> {
  const kept = await partial.open();
  onProgress(kept);
  let follower: BlobFollower | undefined;
  try {
    follower = await follow?.(partial.file);
    await partial.append(source, (bytes) => {
      onProgress(bytes);
      follower?.grown(bytes);
    });
    await partial.finish();
    follower?.complete();
  } catch (error) {
    follower?.cancel();
    if (kept === 0 || !isSlipwayError(error, 'E_DIGEST_MISMATCH', 'E_SIZE_MISMATCH')) throw error;
    // The beginning may be what a power cut has spoilt, or another registry's lie: only what comes in one piece proves anything.
    onProgress(-partial.written);
    await partial.restart();
    await partial.append(source, onProgress);
    await partial.finish();
  } finally {
    await partial.close();
  }
}

/** The beginning of a blob in a file, and the hash of it. */
class PartialBlob {
  readonly file: string;
  readonly size: number;
  readonly #digest: Digest;
  #hash: Hash;
  #handle: FileHandle | undefined;
  #written = 0;

  constructor(file: string, digest: Digest, size: number) {
    this.file = file;
    this.size = size;
    this.#digest = digest;
    this.#hash = createHash(algorithmOf(digest));
  }

  get written(): number {
    return this.#written;
  }

  /** @returns how many bytes are there already; they have been hashed. */
  async open(): Promise<number> {
    try {
      this.#handle = await open(this.file, 'a', 0o644);
      const found = (await this.#handle.stat()).size;
      if (found > this.size) await this.restart();
      else if (found > 0) {
        for await (const chunk of createReadStream(this.file, { highWaterMark: 512 * 1024, end: found - 1 }))
          this.#hash.update(chunk as Buffer);
        this.#written = found;
      }
      return this.#written;
    } catch (error) {
      throw fileSystemError(error, `writing blob ${this.#digest} to the store`);
    }
  }

  async restart(): Promise<void> {
    await this.#handle?.truncate(0);
    this.#hash = createHash(algorithmOf(this.#digest));
    this.#written = 0;
  }

  async append(source: ReceiveOptions['open'], onProgress: (bytes: number) => void): Promise<void> {
    if (this.#written >= this.size || this.#handle === undefined) return;
    const sink = new FileSink(this.#handle);
    try {
      for await (const chunk of source(this.#written, this.size)) {
        if (this.#written + chunk.byteLength > this.size) throw this.#sizeMismatch('more');
        this.#hash.update(chunk);
        this.#written += chunk.byteLength;
        await sink.append(chunk);
        onProgress(chunk.byteLength);
      }
    } catch (error) {
      await sink.flush().catch(() => {}); // what has come is worth keeping
      throw error;
    }
    await sink.flush();
  }

  /** Size and digest must be what they should be. */
  async finish(): Promise<void> {
    if (this.#written !== this.size) throw this.#sizeMismatch(String(this.#written));
    const actual = this.#hash.digest('hex');
    if (actual === hexOf(this.#digest)) return;
    throw new SlipwayError(
      'E_DIGEST_MISMATCH',
      `blob ${this.#digest} has the digest ${algorithmOf(this.#digest)}:${actual}`,
      {
        hint: 'the content is damaged or was tampered with; nothing of it was kept',
        details: { expected: this.#digest, actual: `${algorithmOf(this.#digest)}:${actual}` },
      },
    );
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }

  #sizeMismatch(found: string): SlipwayError {
    return new SlipwayError('E_SIZE_MISMATCH', `blob ${this.#digest} has ${found} bytes, ${this.size} were expected`, {
      hint: 'the transfer was cut short or the content was changed; try again',
      details: { digest: this.#digest, expected: this.size },
    });
  }
}
