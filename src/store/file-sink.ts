import type { FileHandle } from 'node:fs/promises';
import { fileSystemError } from '../base/errors.js';

/** Bytes that are written at once: pieces from the network are small, and each trip through the thread pool costs as much as hashing 64 KiB. */
const BATCH = 1024 * 1024;

/**
 * Appends to a file in batches; one is written while the next is collected. Never more than two are held. Whoever gives a piece must not
 * change it afterwards.
 */
export class FileSink {
  readonly #handle: FileHandle;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Takes a piece. Resolves when there is room for more. @throws SlipwayError E_NO_SPACE … also of what was taken before. */
  async append(piece: Uint8Array): Promise<void> {
    this.#pieces.push(piece);
    this.#bytes += piece.byteLength;
    if (this.#bytes >= BATCH) await this.#next();
  }

  /** Resolves when all that was taken is with the kernel. */
  async flush(): Promise<void> {
    if (this.#bytes > 0) await this.#next();
    await this.#writing;
  }

  /** Resolves when nothing is being written any more, after a failure too. */
  async settled(): Promise<void> {
    await this.#writing.catch(() => {});
  }

  async #next(): Promise<void> {
    await this.#writing;
    this.#writing = writeAll(this.#handle, this.#pieces, this.#bytes);
    this.#writing.catch(() => {}); // met by whoever comes next
    this.#pieces = [];
    this.#bytes = 0;
  }
}

async function writeAll(handle: FileHandle, pieces: readonly Uint8Array[], bytes: number): Promise<void> {
  try {
    let { bytesWritten: done } = await handle.writev([...pieces]);
    if (done === bytes) return;
    // A file system that is nearly full may take a part.
    const all = Buffer.concat(pieces, bytes);
    while (done < bytes) done += (await handle.write(all, done, bytes - done)).bytesWritten;
  } catch (error) {
    throw fileSystemError(error, 'writing a blob to the store');
  }
}
