import { createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import { syncDirectory } from '../../store/durable.js';
import { beginFile } from '../../store/replaced-file.js';

/** Where an archive is written to. Ends with exactly one `commit` or `abort`. */
export interface Output {
  /** Names it in messages. */
  readonly label: string;
  /** False for a pipe: what is written there must come in order. */
  readonly seekable: boolean;
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** What has been written behind this position is not wanted. */
  truncate(size: number): Promise<void>;
  /** Everything is written. */
  commit(): Promise<void>;
  abort(): Promise<void>;
}

/**
 * Writes an archive to a file or a stream. A file gets its name when it is complete and on the disk: what breaks off leaves nothing, and what
 * was there before stays. A stream (standard output), or a FIFO or device that is named, is written in order.
 * @param target a path, `-` for standard output, or a stream, which is left open.
 * @throws SlipwayError E_NO_SPACE, E_PERMISSION, E_NOT_FOUND for a directory that is not there, E_USAGE for one in place of the file; what `write`
 * throws.
 */
export async function withOutput<T>(target: string | Writable, write: (output: Output) => Promise<T>): Promise<T> {
  const output = await openOutput(target);
  try {
    const result = await write(output);
    await output.commit();
    return result;
  } catch (error) {
    await output.abort();
    throw error;
  }
}

async function openOutput(target: string | Writable): Promise<Output> {
  if (typeof target !== 'string') return streamOutput(target, 'the output');
  if (target === '-' || target === '/dev/stdout') return streamOutput(process.stdout, 'standard output');
  const file = resolve(target);
  const found = await stat(file).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileSystemError(error, `writing ${file}`);
  });
  if (found?.isDirectory()) throw new SlipwayError('E_USAGE', `${file} is a directory`, { hint: 'name a file' });
  if (found === undefined || found.isFile()) return fileOutput(file);
  const stream = createWriteStream(file);
  const output = streamOutput(stream, file);
  const close = (): Promise<void> => new Promise((done) => stream.end(() => done()));
  return { ...output, commit: close, abort: close };
}

function streamOutput(stream: Writable, label: string): Output {
  let written = 0;
  return {
    label,
    seekable: false,
    async write(bytes, position) {
      if (position !== written) throw new SlipwayError('E_INTERNAL', `${label} cannot be written out of order`);
      written += bytes.byteLength;
      await new Promise<void>((resolve, reject) => {
        stream.write(bytes, (error) => (error ? reject(error) : resolve()));
      });
    },
    truncate: async () => {},
    commit: async () => {},
    abort: async () => {},
  };
}

/** A file under a temporary name beside the one that it will have. A lock says that whoever writes it lives. */
async function fileOutput(file: string): Promise<Output> {
  const failed = (error: unknown): never => {
    if (errnoOf(error) === 'ENOENT') {
      throw new SlipwayError('E_NOT_FOUND', `cannot write ${file}: there is no directory ${dirname(file)}`, {
        cause: error,
      });
    }
    throw fileSystemError(error, `writing ${file}`);
  };
  const { temp, lock } = await beginFile(file, 0o644).catch(failed);
  const handle = await open(temp, 'r+').catch(failed);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await handle.close();
    await lock?.release();
  };
  return {
    label: file,
    seekable: true,
    async write(bytes, position) {
      for (let at = 0; at < bytes.byteLength; ) {
        const length = bytes.byteLength - at;
        at += (await handle.write(bytes, at, length, position + at).catch(failed)).bytesWritten;
      }
    },
    truncate: (size) => handle.truncate(size).catch(failed),
    async commit() {
      try {
        await handle.sync();
        await rename(temp, file);
        await syncDirectory(dirname(file));
      } catch (error) {
        failed(error);
      }
      await close();
    },
    async abort() {
      if (!isOpen) return;
      await rm(temp, { force: true });
      await close();
    },
  };
}
