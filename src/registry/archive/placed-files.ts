import type { FileHandle } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { readBounded } from '../bounded.js';

/** Files by their path: those of a directory, or of an archive. */
export interface PlacedFiles {
  /** Names the place in messages. */
  readonly label: string;
  /** Bytes of a file; undefined when there is none at this path. Links lead only to files of the same archive. */
  size(path: string): Promise<number | undefined>;
  /** The bytes from `start` up to but without `end`. Opened when first read; fails when there are not as many. */
  open(path: string, start: number, end: number, signal?: AbortSignal): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/**
 * A small file, whole.
 * @returns undefined when there is none.
 * @throws SlipwayError E_BAD_ARCHIVE when it has more than `limit` bytes.
 */
export async function readPlaced(files: PlacedFiles, path: string, limit: number): Promise<Buffer | undefined> {
  const size = await files.size(path);
  if (size === undefined) return undefined;
  const bytes = size > limit ? undefined : await readBounded(files.open(path, 0, size), limit);
  if (bytes !== undefined) return bytes;
  throw new SlipwayError('E_BAD_ARCHIVE', `${path} of ${files.label} has ${size} bytes, the limit is ${limit}`);
}

const CHUNK = 512 * 1024;

/** A part of a file that is open. @throws SlipwayError E_BAD_ARCHIVE when the file ends before `end`. */
export async function* readRange(
  handle: FileHandle,
  start: number,
  end: number,
  what: string,
  signal?: AbortSignal,
): AsyncGenerator<Buffer, void, void> {
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    // Whoever reads may keep a piece: it is not used again.
    const piece = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - at));
    const { bytesRead } = await handle.read(piece, 0, piece.length, at);
    if (bytesRead === 0) {
      throw new SlipwayError('E_BAD_ARCHIVE', `${what} ends too early`, { hint: 'it is truncated, or being written' });
    }
    at += bytesRead;
    yield bytesRead === piece.length ? piece : piece.subarray(0, bytesRead);
  }
}
