import { isDocumentType } from './media-types.js';
import type { Descriptor, ImageDocument } from './oci.js';

/** What a manifest or an index points to, in the order in which it must be copied: content before the documents that name it. */
export function successors(document: ImageDocument): readonly Descriptor[] {
  if (document.kind === 'index') return document.index.manifests;
  return [...document.manifest.layers, document.manifest.config];
}

/**
 * What a walk through a graph has seen. Where one place calls a document what another calls a blob, the walk must not miss what the document
 * names: they are two things.
 */
export function visited({ digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>): string {
  return `${isDocumentType(mediaType) ? 'document' : 'blob'} ${digest}`;
}
