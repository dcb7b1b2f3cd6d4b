import { read } from 'node:fs';
import { promisify } from 'node:util';

/** How much is read at once: beside what is done with it, a trip through the thread pool costs nothing. */
const CHUNK = 512 * 1024;
const readFrom = promisify(read);

/** A file that somebody else may still be writing to, told of by that one. */
export class GrowingFile {
  readonly #fd: number;
  #complete = false;
  #wake: () => void = () => {};

  /** @param fd open for reading; closed by whoever opened it. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** There is more to read. */
  grown(): void {
    this.#wake();
  }

  /** Everything has been written. */
  complete(): void {
    this.#complete = true;
    this.#wake();
  }

  /** All its bytes. Waits at the end until it has grown or is complete. */
  async *bytes(): AsyncGenerator<Buffer> {
    for (let position = 0; ; ) {
      // Asked before reading: what was written before it was complete is then seen by this read.
      const complete = this.#complete;
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const buffer = Buffer.allocUnsafeSlow(CHUNK);
      const { bytesRead } = await readFrom(this.#fd, buffer, 0, CHUNK, position);
      position += bytesRead;
      if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
      else if (complete) return;
      else await news;
    }
  }
}
