import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { SlipwayError } from '../../base/errors.js';
import { errorOf, type ThreadFailure } from '../../base/thread-failure.js';
import type { Compression } from '../../image/media-types.js';
import type { ReadLayer } from './read-layer.js';

/** To the thread: a layer to read (threads share descriptors), then news of its file. */
export type ToReader = { readonly fd: number; readonly compression: Compression } | 'grown' | 'complete';

/** From the thread. */
export type FromReader = ReadLayer | ThreadFailure;

const PROGRAM = new URL('./prove-worker.js', import.meta.url);

/** False where the program is not there: the sources are run without being compiled. */
export function hasReaderThreads(): boolean {
  return existsSync(fileURLToPath(PROGRAM));
}

/** A thread that reads layers, one at a time. */
export class ReaderThread {
  readonly #worker = new Worker(PROGRAM);
  #reading: { resolve(read: ReadLayer): void; reject(error: unknown): void } | undefined;

  constructor() {
    this.#worker.on('message', (message: FromReader) => {
      const reading = this.#reading;
      this.#reading = undefined;
      if ('diffId' in message) reading?.resolve(message);
      else reading?.reject(errorOf(message));
    });
    this.#worker.on('error', (error) => this.#reading?.reject(error));
    this.#worker.on('exit', () =>
      this.#reading?.reject(new SlipwayError('E_INTERNAL', 'a thread that reads layers ended early')),
    );
  }

  /** Reads the layer in a file that may still be growing; {@link complete} must follow. The descriptor stays the caller's. */
  read(fd: number, compression: Compression): Promise<ReadLayer> {
    return new Promise((resolve, reject) => {
      this.#reading = { resolve, reject };
      this.#worker.postMessage({ fd, compression } satisfies ToReader);
    });
  }

  grown(): void {
    this.#worker.postMessage('grown' satisfies ToReader);
  }

  complete(): void {
    this.#worker.postMessage('complete' satisfies ToReader);
  }

  /** Ends the thread, whatever it is doing; what is being read is rejected. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
