import type { Compression } from '../image/media-types.js';
import { decompress } from './decompress.js';
import { checkLimit, DEFAULT_LIMITS, type TarLimits } from './tar-limits.js';

/** Up to here nothing is suspicious. */
const RATIO_FREE = 1024 ** 3;

/**
 * {@link decompress}, which gives up when far more comes out than went in: a bomb.
 *
 * @param progress called with the number of compressed bytes since the last call.
 * @throws SlipwayError E_UNSAFE_ARCHIVE, and those of decompress.
 */
export async function* decompressBounded(
  stream: AsyncIterable<Buffer>,
  compression: Compression,
  limits: Partial<TarLimits> = {},
  progress?: (bytes: number) => void,
): AsyncGenerator<Buffer, void, void> {
  const ratio = limits.ratio ?? DEFAULT_LIMITS.ratio;
  let taken = 0;
  let given = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of stream) {
      taken += chunk.length;
      progress?.(chunk.length);
      yield chunk;
    }
  }
  for await (const chunk of decompress(counted(), compression)) {
    given += chunk.length;
    if (given > RATIO_FREE) checkLimit(given / taken, ratio, 'its compression ratio is suspicious');
    yield chunk;
  }
}
