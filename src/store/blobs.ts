import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { algorithmOf, type Digest, digestOf, hexOf, isDigest, parseDigest } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import { syncDirectory } from './durable.js';
import { FileSink } from './file-sink.js';
import type { TempSpace } from './temp.js';

/** A FIFO in the place of a blob is not waited for. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** What a blob must turn out to be. */
export interface Expected {
  readonly digest?: Digest;
  readonly size?: number;
}

export interface BlobIdentity {
  readonly digest: Digest;
  readonly size: number;
}

/** The content-addressed part of the store: `blobs/ALGORITHM/HEX` of an OCI image layout. */
export class Blobs {
  readonly #dir: string;
  readonly #temp: TempSpace;

  constructor(dir: string, temp: TempSpace) {
    this.#dir = dir;
    this.#temp = temp;
  }

  /** Where a blob is, or would be. The digest has been validated by its type: it cannot leave the directory. */
  path(digest: Digest): string {
    return join(this.#dir, algorithmOf(digest), hexOf(digest));
  }

  /** Bytes of a blob; undefined when it is not here. */
  async size(digest: Digest): Promise<number | undefined> {
    try {
      const found = await stat(this.path(digest));
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Every blob with its size, in no order. Files that are no blobs are passed over. */
  async list(): Promise<BlobIdentity[]> {
    const found: BlobIdentity[] = [];
    for (const algorithm of ['sha256', 'sha512']) {
      const names = await readdir(join(this.#dir, algorithm)).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return [];
        throw error;
      });
      for (const hex of names) {
        const digest = `${algorithm}:${hex}`;
        const size = isDigest(digest) ? await this.size(digest) : undefined;
        if (isDigest(digest) && size !== undefined) found.push({ digest, size });
      }
    }
    return found;
  }

  /** The raw bytes of a blob. `end` is inclusive. A missing blob is an ENOENT error of the stream. */
  open(digest: Digest, range?: { readonly start: number; readonly end?: number }): Readable {
    return createReadStream(this.path(digest), { highWaterMark: 256 * 1024, ...range });
  }

  /**
   * A small blob (manifest, config), verified.
   * @throws SlipwayError E_NOT_FOUND, E_SIZE_MISMATCH, E_DIGEST_MISMATCH, E_INVALID_MANIFEST when larger than `limit`.
   */
  async read({ digest, size }: Pick<Descriptor, 'digest' | 'size'>, limit: number): Promise<Buffer> {
    if (size > limit) {
      throw new SlipwayError(
        'E_INVALID_MANIFEST',
        `blob ${digest} has ${size} bytes, the limit for its kind is ${limit}`,
      );
    }
    let handle: FileHandle;
    try {
      handle = await open(this.path(digest), FLAGS);
    } catch (cause) {
      if (errnoOf(cause) !== 'ENOENT') throw cause;
      throw new SlipwayError('E_NOT_FOUND', `blob ${digest} is not in the store`, {
        hint: 'pull or build the image again',
        cause,
      });
    }
    try {
      const found = (await handle.stat()).size;
      if (found !== size) throw sizeMismatch(digest, size, found, `blob ${digest} of the store`);
      const bytes = await handle.readFile();
      const actual =
        algorithmOf(digest) === 'sha256'
          ? digestOf(bytes)
          : `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
      if (actual !== digest) throw digestMismatch(digest, actual, `blob ${digest} of the store`);
      return bytes;
    } finally {
      await handle.close();
    }
  }

  /** Stores bytes held in memory. */
  async put(bytes: Uint8Array): Promise<BlobIdentity> {
    const digest = digestOf(bytes);
    if ((await this.size(digest)) === bytes.byteLength) return { digest, size: bytes.byteLength };
    const writer = await this.create();
    await writer.write(bytes);
    return writer.commit({ digest });
  }

  /** A writer for a blob whose content streams in. Hashes while writing: sha256, or the algorithm of `expectedDigest`. */
  async create(expectedDigest?: Digest): Promise<BlobWriter> {
    const file = await this.#temp.path('blob');
    const handle = await open(file, 'wx', 0o644).catch((error: unknown) => {
      throw fileSystemError(error, `writing to the store (${file})`);
    });
    return new BlobWriter(this, file, handle, expectedDigest === undefined ? 'sha256' : algorithmOf(expectedDigest));
  }

  /**
   * Takes over a finished file of the temporary space whose digest the caller has computed while writing it.
   * The file is made durable, then renamed into place; one that is here already is kept and the new one dropped, but with `replace` it is the
   * other way round: what is here is known to be damaged.
   */
  async adopt(
    file: string,
    { digest, size }: BlobIdentity,
    { handle, replace = false }: { readonly handle?: FileHandle; readonly replace?: boolean } = {},
  ): Promise<void> {
    if (!replace && (await this.size(digest)) === size) {
      await rm(file, { force: true });
      return;
    }
    const target = this.path(digest);
    try {
      const file_ = handle ?? (await open(file, 'r'));
      try {
        await file_.sync();
      } finally {
        if (handle === undefined) await file_.close();
      }
      await makeDirectory(dirname(target));
      await rename(file, target);
      await syncDirectory(dirname(target));
    } catch (error) {
      throw fileSystemError(error, `writing blob ${digest} to the store`);
    }
  }

  async remove(digest: Digest): Promise<void> {
    await rm(this.path(digest), { force: true });
  }
}

/** One blob on its way into the store. Ends with exactly one `commit` or `abort`. */
export class BlobWriter {
  readonly #blobs: Blobs;
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #algorithm: 'sha256' | 'sha512';
  readonly #hash: Hash;
  readonly #sink: FileSink;
  #written = 0;
  #open = true;

  constructor(blobs: Blobs, file: string, handle: FileHandle, algorithm: 'sha256' | 'sha512') {
    this.#blobs = blobs;
    this.#file = file;
    this.#handle = handle;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
    this.#sink = new FileSink(handle);
  }

  /** Bytes written so far. */
  get written(): number {
    return this.#written;
  }

  /** The next bytes, which must not change any more; resolves when there is room for others, which is the back-pressure. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    try {
      await this.#sink.append(chunk);
    } catch (error) {
      await this.abort();
      throw error;
    }
    this.#written += chunk.byteLength;
  }

  /**
   * Verifies and stores the blob.
   * @throws SlipwayError E_DIGEST_MISMATCH, E_SIZE_MISMATCH: nothing is stored.
   */
  async commit(expected: Expected = {}): Promise<BlobIdentity> {
    const size = this.#written;
    const algorithm = expected.digest === undefined ? this.#algorithm : algorithmOf(expected.digest);
    try {
      await this.#sink.flush();
      const digest = parseDigest(`${algorithm}:${await this.#hashBy(algorithm)}`);
      const what = `blob ${expected.digest ?? digest}`;
      if (expected.size !== undefined && expected.size !== size) throw sizeMismatch(digest, expected.size, size, what);
      if (expected.digest !== undefined && expected.digest !== digest)
        throw digestMismatch(expected.digest, digest, what);
      await this.#blobs.adopt(this.#file, { digest, size }, { handle: this.#handle });
      await this.#close();
      return { digest, size };
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** Which algorithm the blob is named by may be known only at its end: then the file is read again. */
  async #hashBy(algorithm: 'sha256' | 'sha512'): Promise<string> {
    if (algorithm === this.#algorithm) return this.#hash.digest('hex');
    const hash = createHash(algorithm);
    for await (const chunk of createReadStream(this.#file)) hash.update(chunk as Uint8Array);
    return hash.digest('hex');
  }

  /** Drops what was written. Harmless after commit. */
  async abort(): Promise<void> {
    if (!this.#open) return;
    await this.#close();
    await rm(this.#file, { force: true });
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#sink.settled();
    await this.#handle.close();
  }
}

function sizeMismatch(digest: Digest, expected: number, actual: number, what: string): SlipwayError {
  return new SlipwayError('E_SIZE_MISMATCH', `${what} has ${actual} bytes, ${expected} were expected`, {
    hint: 'the transfer was cut short or the content was changed; try again',
    details: { digest, expected, actual },
  });
}

function digestMismatch(expected: Digest, actual: string, what: string): SlipwayError {
  return new SlipwayError('E_DIGEST_MISMATCH', `${what} has the digest ${actual}`, {
    hint: 'the content is damaged or was tampered with; nothing of it was kept',
    details: { expected, actual },
  });
}
