import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import type { Compression } from '../../image/media-types.js';
import { decompressBounded } from '../../layers/bounded-decompress.js';
import { sniffCompression } from '../../layers/decompress.js';
import { interruptible } from '../interruptible.js';
import { spool } from './spool.js';
import { openTarFiles, type TarFiles } from './tar-files.js';

/** Bytes that show a compression. */
const MAGIC = 4;

/** An archive that has been opened: a file that can be read at any place, or something that comes once, in order. */
export type OpenedArchive =
  | { readonly kind: 'file'; readonly handle: FileHandle; readonly label: string }
  | {
      readonly kind: 'stream';
      /** Uncompressed. Whoever has read it, or gives it up, calls `close`. */
      readonly stream: AsyncIterable<Buffer>;
      readonly label: string;
      readonly close: () => Promise<void>;
    };

/**
 * Opens an archive: plain or compressed with gzip or zstd.
 * @param source a path (`-` is standard input), or a stream.
 * @param onProgress told of the bytes that come of a stream.
 * @throws SlipwayError E_NOT_FOUND, E_USAGE for a directory.
 */
export async function openArchive(
  source: string | AsyncIterable<Buffer>,
  signal?: AbortSignal,
  onProgress?: (bytes: number) => void,
): Promise<OpenedArchive> {
  if (typeof source !== 'string' || source === '-') {
    const stream = source === '-' ? process.stdin : source;
    const { head, whole } = await peek(interruptible(stream as AsyncIterable<Buffer>, signal));
    const compression = sniffCompression(head);
    const label = source === '-' ? 'standard input' : 'the archive';
    return { kind: 'stream', stream: unpacked(whole, compression, onProgress), label, close: async () => {} };
  }
  const label = resolve(source);
  const handle = await openFile(label);
  try {
    const found = await handle.stat();
    if (found.isDirectory()) {
      throw new SlipwayError('E_USAGE', `${label} is a directory, not an archive`, {
        hint: `an OCI layout is named oci:${source}`,
      });
    }
    if (found.isFile()) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAGIC), 0, MAGIC, 0);
      if (sniffCompression(buffer.subarray(0, bytesRead)) === 'none') return { kind: 'file', handle, label };
    }
    const bytes = handle.createReadStream({ highWaterMark: 1024 * 1024, autoClose: false });
    const { head, whole } = await peek(interruptible(bytes as AsyncIterable<Buffer>, signal));
    return {
      kind: 'stream',
      stream: unpacked(whole, sniffCompression(head), onProgress),
      label,
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The files of an archive: see {@link openArchive}. One that comes as a stream, or compressed, is kept in a temporary file meanwhile. */
export async function openArchiveFiles(path: string, signal?: AbortSignal): Promise<TarFiles> {
  const opened = await openArchive(path, signal);
  const handle = opened.kind === 'file' ? opened.handle : await spool(opened.stream).finally(opened.close);
  return openTarFiles(handle, opened.label);
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, constants.O_RDONLY);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR')
      throw fileSystemError(error, `reading the archive ${file}`);
    throw new SlipwayError('E_NOT_FOUND', `there is no archive ${file}`, { cause: error });
  }
}

function unpacked(
  stream: AsyncIterable<Buffer>,
  compression: Compression,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncIterable<Buffer> {
  return decompressBounded(stream, compression, {}, onProgress);
}

/** The first bytes of a stream, and the whole of it still. */
async function peek(
  stream: AsyncGenerator<Buffer, void, void>,
): Promise<{ readonly head: Buffer; readonly whole: AsyncIterable<Buffer> }> {
  const first: Buffer[] = [];
  let size = 0;
  while (size < MAGIC) {
    const { value, done } = await stream.next();
    if (done === true) break;
    first.push(value);
    size += value.byteLength;
  }
  const head = Buffer.concat(first);
  async function* whole(): AsyncGenerator<Buffer, void, void> {
    yield head;
    yield* stream;
  }
  return { head, whole: whole() };
}
