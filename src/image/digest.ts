import { createHash } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';

declare const digestBrand: unique symbol;

/** A content digest that has been validated: safe to build a path from. OCI image-spec, descriptor.md#digests. */
export type Digest = `${'sha256' | 'sha512'}:${string}` & { readonly [digestBrand]: true };

const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/**
 * @throws SlipwayError E_INVALID_DIGEST when `text` is not `sha256:` and 64, or `sha512:` and 128, lower-case hex digits.
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new SlipwayError('E_INVALID_DIGEST', `invalid digest ${JSON.stringify(text.slice(0, 200))}`, {
      hint: 'a digest is "sha256:" followed by 64 lower-case hexadecimal digits',
    });
  }
  return text;
}

/** The algorithm of a digest: `sha256` or `sha512`. */
export function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha256:') ? 'sha256' : 'sha512';
}

/** The hexadecimal part. */
export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The sha256 digest of some bytes held in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return sha256Digest(createHash('sha256').update(bytes).digest('hex'));
}

/** The digest of some bytes held in memory, by the algorithm of another. */
export function digestAs(like: Digest, bytes: Uint8Array): Digest {
  const algorithm = algorithmOf(like);
  return parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
}

/** Makes a Digest of a sha256 given in hexadecimal. */
export function sha256Digest(hex: string): Digest {
  return parseDigest(`sha256:${hex}`);
}

/** The first 12 hexadecimal digits, as docker shows image ids. */
export function shortDigest(digest: Digest): string {
  return hexOf(digest).slice(0, 12);
}
