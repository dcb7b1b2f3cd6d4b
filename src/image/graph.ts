import type { Descriptor, ImageDocument } from './oci.js';

/** What a manifest or an index points to, in the order in which it must be copied: content before the documents that name it. */
export function successors(document: ImageDocument): readonly Descriptor[] {
  if (document.kind === 'index') return document.index.manifests;
  return [...document.manifest.layers, document.manifest.config];
}
