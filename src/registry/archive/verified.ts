import { createHash } from 'node:crypto';
import { SlipwayError } from '../../base/errors.js';
import { algorithmOf, hexOf } from '../../image/digest.js';
import type { Descriptor } from '../../image/oci.js';

/**
 * The same bytes, hashed as they pass. They must not be relied on before the end.
 * @throws SlipwayError E_SIZE_MISMATCH, E_DIGEST_MISMATCH after the last byte.
 */
export async function* verified(
  pieces: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash(algorithmOf(digest));
  let passed = 0;
  const wrongSize = (): SlipwayError =>
    new SlipwayError('E_SIZE_MISMATCH', `blob ${digest} has ${passed} bytes, ${size} were expected`, {
      hint: 'the transfer was cut short or the content was changed; try again',
      details: { digest, expected: size },
    });
  for await (const piece of pieces) {
    passed += piece.byteLength;
    if (passed > size) throw wrongSize();
    hash.update(piece);
    yield piece;
  }
  if (passed !== size) throw wrongSize();
  const actual = hash.digest('hex');
  if (actual === hexOf(digest)) return;
  throw new SlipwayError('E_DIGEST_MISMATCH', `blob ${digest} has the digest ${algorithmOf(digest)}:${actual}`, {
    hint: 'the content is damaged or was tampered with; nothing of it was kept',
    details: { expected: digest, actual: `${algorithmOf(digest)}:${actual}` },
  });
}
