import { algorithmOf, type Digest, hexOf } from '../image/digest.js';

/**
 * Where Docker's registry (distribution's filesystem driver) keeps what, relative to its storage directory's `docker/registry/v2`.
 * Source: distribution, registry/storage/paths.go.
 */

/** Below the storage directory. */
export const STORAGE_ROOT = 'docker/registry/v2';

/** `blobs/sha256/XX/HEX/data`: the first two digits keep directories small. */
export function blobFile(digest: Digest): string {
  const hex = hexOf(digest);
  return `blobs/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}/data`;
}

/** Says that a repository has a blob. */
export function layerLink(repository: string, digest: Digest): string {
  return `repositories/${repository}/_layers/${linkDirectory(digest)}/link`;
}

/** Says that a repository has a manifest. */
export function revisionLink(repository: string, digest: Digest): string {
  return `repositories/${repository}/_manifests/revisions/${linkDirectory(digest)}/link`;
}

/** What a tag stands for. */
export function tagLink(repository: string, tag: string): string {
  return `repositories/${repository}/_manifests/tags/${tag}/current/link`;
}

/** Says that a tag stands for it, or did. */
export function tagIndexLink(repository: string, tag: string, digest: Digest): string {
  return `repositories/${repository}/_manifests/tags/${tag}/index/${linkDirectory(digest)}/link`;
}

function linkDirectory(digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`;
}
