import { type Digest, hexOf } from '../image/digest.js';

const PREFIX = 'partial-';

/** What has arrived of a blob, in its corner. */
export const PARTIAL_CONTENT = 'content';

/** The corner of `tmp/` that the beginning of a blob is in. */
export function partialName(digest: Digest): string {
  return `${PREFIX}${hexOf(digest)}`;
}

/** True for the name of a corner of `tmp/` that holds the beginning of a blob. */
export function isPartial(name: string): boolean {
  return name.startsWith(PREFIX);
}
