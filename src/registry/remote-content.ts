import type { Digest } from '../image/digest.js';
import { isIndexType, isManifestType } from '../image/media-types.js';
import type { Repository } from './client.js';
import type { ContentSource, ContentTarget } from './content.js';

/** A repository of a registry as a place to copy from. */
export function remoteSource(repository: Repository): ContentSource {
  return {
    label: `${repository.host}/${repository.name}`,
    document: ({ digest, size }, signal) => repository.fetchManifest(digest, signal, size),
    open: (descriptor, start, end, signal) => repository.fetchBlob(descriptor, { start, end, verify: false, signal }),
  };
}

export interface RemoteTargetOptions {
  /** The tag of the last document, the root; without one it is stored under its digest alone. */
  readonly root?: { readonly digest: Digest; readonly tag: string } | undefined;
  /** Other repositories of the same registry that may have a blob: it is mounted from there instead of sent. */
  readonly mountFrom?: (digest: Digest) => Promise<readonly string[]>;
}

/** A repository of a registry as a place to copy to. */
export function remoteTarget(repository: Repository, { root, mountFrom }: RemoteTargetOptions = {}): ContentTarget {
  const referenceOf = (digest: Digest): string => (root?.digest === digest ? root.tag : digest);
  return {
    label: `${repository.host}/${repository.name}`,
    trusting: true,
    has({ digest, mediaType }, signal) {
      return isManifestType(mediaType) || isIndexType(mediaType)
        ? repository.manifests.has(referenceOf(digest), digest, signal)
        : repository.hasBlob({ digest }, signal);
    },
    async pushBlob(descriptor, open, onProgress, signal) {
      const from = (await mountFrom?.(descriptor.digest)) ?? [];
      const placed = await repository.pushBlob({ descriptor, open }, { mountFrom: from, onProgress, signal });
      return placed === 'uploaded' ? 'copied' : placed;
    },
    pushDocument: (document, signal) =>
      repository.pushManifest(referenceOf(document.descriptor.digest), document, signal),
  };
}
