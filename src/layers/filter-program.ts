import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { errnoOf, SlipwayError } from '../base/errors.js';

/** A program that reads its standard input and writes its standard output. */
export interface FilterProgram {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Settles when the program has ended; rejects unless it ended well. */
  readonly ended: Promise<void>;
  /** Ends the program at once. */
  kill(): void;
}

const STDERR_KEPT = 2000;

/**
 * Starts `program` as a filter.
 *
 * @param purpose what it is needed for, and the Debian package it is in: used in errors.
 * @returns `ended` rejects with E_MISSING_PROGRAM when it is not installed, with `onFailure(lastLineOfStderr)` when it fails.
 */
export function startFilter(
  program: string,
  args: readonly string[],
  purpose: { readonly what: string; readonly debianPackage: string },
  onFailure: (reason: string) => SlipwayError,
): FilterProgram {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  // A program that ends early breaks the pipe; `ended` tells why.
  child.stdin.on('error', () => {});
  const ended = endOf(child, () => stderr, program, purpose, onFailure);
  ended.catch(() => {});
  return { stdin: child.stdin, stdout: child.stdout, ended, kill: () => child.kill('SIGKILL') };
}

function endOf(
  child: ChildProcess,
  stderr: () => string,
  program: string,
  { what, debianPackage }: { readonly what: string; readonly debianPackage: string },
  onFailure: (reason: string) => SlipwayError,
): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        errnoOf(error) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', `the program ${program} is needed for ${what} and is not installed`, {
              hint: `install it, on Debian: apt install ${debianPackage}`,
              cause: error,
            })
          : onFailure(error.message),
      );
    });
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(onFailure(stderr().trim().split('\n').at(-1) || `it ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

/** Waits until `stream` takes more, or will never take any again. */
export function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    if (stream.destroyed || stream.closed) resolve();
    else stream.on('drain', done).on('close', done);
  });
}

/** Sends a stream through a filter with back-pressure; ends the filter when the reader stops early. */
export async function* throughFilter(stream: AsyncIterable<Buffer>, filter: FilterProgram): AsyncGenerator<Buffer> {
  const feeding = feed(stream, filter);
  // Met below; a failure of the source must not be unhandled meanwhile, and must end the reading.
  feeding.catch(() => filter.kill());
  try {
    try {
      for await (const chunk of filter.stdout) yield chunk as Buffer;
    } catch (error) {
      await feeding;
      await filter.ended;
      throw error;
    }
    await feeding;
    await filter.ended;
  } finally {
    filter.kill();
  }
}

async function feed(stream: AsyncIterable<Buffer>, { stdin }: FilterProgram): Promise<void> {
  for await (const chunk of stream) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await drained(stdin);
  }
  stdin.end();
}

/** Passes a stream on and throws `error()` when it turns out to be empty. */
export async function* nonEmpty(stream: AsyncIterable<Buffer>, error: () => Error): AsyncGenerator<Buffer> {
  let seen = false;
  for await (const chunk of stream) {
    seen ||= chunk.length > 0;
    yield chunk;
  }
  if (!seen) throw error();
}
