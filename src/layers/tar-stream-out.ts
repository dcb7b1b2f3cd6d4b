import { Readable } from 'node:stream';
import { tarBlocks } from './tar-blocks.js';
import type { PackEntry } from './toc.js';

export interface TarStreamOptions {
  /** No entry gets a later modification time than this, in seconds. */
  readonly mtimeClamp?: number;
  readonly signal?: AbortSignal;
}

const BLOCK = 256 * 1024;

/**
 * An uncompressed tar of `entries`, read as fast as whoever reads it. Parents must come before children. Unlike a layer it may hold hard
 * links to files that are already where it is unpacked. A failure (E_FILE_CHANGED …) is the stream's `error`.
 */
export function tarStream(entries: Iterable<PackEntry>, options: TarStreamOptions = {}): Readable {
  return Readable.from(tarBlocks(entries, { ...options, blockSize: BLOCK }), {
    objectMode: false,
    highWaterMark: BLOCK,
  });
}
