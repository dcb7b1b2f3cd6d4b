import { SlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { successors, visited } from '../../image/graph.js';
import { isDocumentType, isNondistributable } from '../../image/media-types.js';
import type { Descriptor } from '../../image/oci.js';
import { readDocument } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import type { NamedImage } from './archive-image.js';

/**
 * Everything that a descriptor reaches, itself included, each once, content before what names it. Nondistributable layers are left out.
 * @throws SlipwayError E_NOT_FOUND when the store lacks some of it.
 */
export async function reachable(store: Store, { name, descriptor }: NamedImage): Promise<readonly Descriptor[]> {
  const found = new Map<Digest, Descriptor>();
  const seen = new Set<string>();
  const visit = async (current: Descriptor): Promise<void> => {
    if (seen.has(visited(current)) || isNondistributable(current.mediaType)) return;
    seen.add(visited(current));
    if ((await store.blobSize(current.digest)) !== current.size) {
      throw new SlipwayError('E_NOT_FOUND', `${name}: ${current.digest} is not in the store`, {
        hint: `the image is incomplete here: slipway pull --all ${name}`,
        details: { digest: current.digest },
      });
    }
    if (isDocumentType(current.mediaType)) {
      for (const next of successors(await readDocument(store, current, name))) await visit(next);
    }
    found.set(current.digest, current);
  };
  await visit(descriptor);
  return [...found.values()];
}
