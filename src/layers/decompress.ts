import { createGunzip } from 'node:zlib';
import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';
import type { Compression } from '../image/media-types.js';
import { nonEmpty, throughFilter } from './filter-program.js';
import { unzstd } from './zstd.js';

/** With Node's default of 16 KiB, inflating is half as fast. */
const CHUNK = 256 * 1024;

/**
 * What a stream that begins with these bytes is compressed with, from its magic number (RFC 1952, RFC 8878; four bytes are enough).
 * Anything unknown is `none`.
 */
export function sniffCompression(firstBytes: Uint8Array): Compression {
  const [a, b, c, d] = firstBytes;
  if (a === 0x1f && b === 0x8b) return 'gzip';
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd) return 'zstd';
  // A zstd stream may begin with a skippable frame, as those of zstd:chunked and eStargz do.
  if (a !== undefined && (a & 0xf0) === 0x50 && b === 0x2a && c === 0x4d && d === 0x18) return 'zstd';
  return 'none';
}

/**
 * The uncompressed bytes of a stream, in constant memory and with back-pressure. gzip may have several members, zstd several frames.
 *
 * @throws SlipwayError E_BAD_ARCHIVE for data that is truncated, damaged or compressed in another way. Failures of `stream` itself
 * pass through unchanged.
 */
export async function* decompress(stream: AsyncIterable<Buffer>, compression: Compression): AsyncGenerator<Buffer> {
  switch (compression) {
    case 'none':
      yield* stream;
      return;
    case 'zstd':
      yield* unzstd(stream);
      return;
    case 'gzip':
      yield* gunzip(stream);
  }
}

async function* gunzip(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const inflate = createGunzip({ chunkSize: CHUNK });
  const ended = new Promise<void>((resolve, reject) => {
    inflate.once('end', resolve);
    inflate.once('error', (error) => reject(broken(error)));
  });
  ended.catch(() => {});
  // zlib takes nothing at all for an empty stream.
  const some = nonEmpty(stream, () => broken(Object.assign(new Error(), { code: 'Z_BUF_ERROR' })));
  yield* throughFilter(some, { stdin: inflate, stdout: inflate, ended, kill: () => inflate.destroy() });
}

function broken(error: unknown): SlipwayError {
  const truncated = errnoOf(error) === 'Z_BUF_ERROR';
  return new SlipwayError(
    'E_BAD_ARCHIVE',
    `cannot decompress gzip data: ${truncated ? 'it ends too early' : messageOf(error)}`,
    { hint: 'the data is truncated or damaged: pull or copy it again', cause: error },
  );
}
