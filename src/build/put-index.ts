import { MEDIA } from '../image/media-types.js';
import { type Descriptor, encodeJson, type Index } from '../image/oci.js';
import type { Store } from '../store/store.js';

/** The index over the images of several platforms, in the order they were asked for. */
export async function putIndex(store: Store, images: readonly Descriptor[]): Promise<Descriptor> {
  const index: Index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [...images] };
  const { digest, size } = await store.putBlob(encodeJson(index));
  return { mediaType: MEDIA.index, digest, size };
}
