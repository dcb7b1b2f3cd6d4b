import { createHash } from 'node:crypto';
import { type Digest, sha256Digest } from '../image/digest.js';
import type { Compression } from '../image/media-types.js';
import { decompressBounded } from './bounded-decompress.js';
import type { TarLimits } from './tar-limits.js';

/** The uncompressed tar of a layer, and what has been learnt of it once it has been read to its end. */
export interface LayerStream {
  readonly tar: AsyncIterable<Buffer>;
  /** Bytes of the tar so far. */
  readonly unpackedSize: () => number;
  /** The digest of all of the tar; call it once, at the end. */
  readonly diffId: () => Digest;
}

/**
 * Decompresses and hashes a layer.
 *
 * @param progress called with the number of compressed bytes since the last call.
 * @throws SlipwayError (while it is read) E_BAD_ARCHIVE; E_UNSAFE_ARCHIVE when far more comes out than went in.
 */
export function openLayerStream(
  stream: AsyncIterable<Buffer>,
  compression: Compression,
  limits: Partial<TarLimits> = {},
  progress?: (bytes: number) => void,
): LayerStream {
  const hashing = createHash('sha256');
  let given = 0;
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of decompressBounded(stream, compression, limits, progress)) {
      given += chunk.length;
      hashing.update(chunk);
      yield chunk;
    }
  }
  return { tar: hashed(), unpackedSize: () => given, diffId: () => sha256Digest(hashing.digest('hex')) };
}
