import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type ErrorCode, SlipwayError } from '../base/errors.js';
import type { TarLimits } from './tar-limits.js';
import type { TreeWriterOptions } from './tree-writer.js';

/** What the thread is started with. */
export interface WriterTask {
  readonly root: string;
  readonly options: TreeWriterOptions;
  readonly limits: Partial<TarLimits>;
}

/** To the thread: a piece of the tar, or its end. */
export type ToWriter = Uint8Array | 'end';

/** From the thread: a piece has been used, everything is written, or it went wrong. */
export type FromWriter = 'taken' | 'written' | WriterFailure;

export interface WriterFailure {
  /** A SlipwayError's code, or an errno. */
  readonly code: string | undefined;
  readonly slipway: boolean;
  readonly message: string;
  readonly hint: string | undefined;
}

const PROGRAM = new URL('./unpack-worker.js', import.meta.url);
/** Pieces on their way at most. */
const WINDOW = 8;

/** False where the thread would not help (one processor) or its program is not there (the sources are run without being compiled). */
export function canWriteRemotely(): boolean {
  return availableParallelism() > 1 && existsSync(fileURLToPath(PROGRAM));
}

/**
 * A thread that reads the same tar as its owner and writes the files, while the owner hashes them: making a file takes about as long as
 * hashing and listing it.
 */
export class RemoteWriter {
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #failure: { readonly error: unknown } | undefined;
  #underWay = 0;
  #wake: () => void = () => {};

  constructor(task: WriterTask) {
    this.#worker = new Worker(PROGRAM, { workerData: task });
    this.#ended = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromWriter) => {
        if (message === 'taken') {
          this.#underWay--;
          this.#wake();
        } else if (message === 'written') {
          resolve();
        } else {
          reject(errorOf(message));
        }
      });
      this.#worker.once('error', reject);
      this.#worker.once('exit', () =>
        reject(new SlipwayError('E_INTERNAL', 'the thread that writes files ended early')),
      );
    });
    this.#ended.catch((error: unknown) => {
      this.#failure = { error };
      this.#wake();
    });
  }

  /** Sends a copy of `chunk`; waits while too much is on its way. Throws what went wrong in the thread. */
  async write(chunk: Buffer): Promise<void> {
    const copy = new Uint8Array(chunk);
    this.#worker.postMessage(copy satisfies ToWriter, [copy.buffer]);
    this.#underWay++;
    while (this.#underWay >= WINDOW && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits until everything is written. */
  async finish(): Promise<void> {
    this.#worker.postMessage('end' satisfies ToWriter);
    await this.#ended;
  }

  /** Ends the thread, whatever it is doing. Files that it has open are closed. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** What is sent for an error, which would lose its class on the way. */
export function failureOf(error: unknown): WriterFailure {
  if (error instanceof SlipwayError)
    return { code: error.code, slipway: true, message: error.message, hint: error.hint };
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : undefined;
  return { code, slipway: false, message: error instanceof Error ? error.message : String(error), hint: undefined };
}

function errorOf({ code, slipway, message, hint }: WriterFailure): Error {
  if (slipway) return new SlipwayError(code as ErrorCode, message, hint === undefined ? {} : { hint });
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
