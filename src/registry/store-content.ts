import { errnoOf, SlipwayError } from '../base/errors.js';
import { type Descriptor, MANIFEST_LIMIT, parseImageDocument } from '../image/oci.js';
import { type BlobPlace, receiveBlob } from '../store/partial-blob.js';
import type { LayerProver } from '../store/prove/layer-prover.js';
import type { Store } from '../store/store.js';
import type { ContentSource, ContentTarget } from './content.js';
import { interruptible } from './interruptible.js';

/** The local store as a place to copy from. */
export function storeSource(store: Store): ContentSource {
  return {
    label: 'the store',
    verified: true,
    has: (descriptor) => hasBlob(store, descriptor),
    async document(descriptor) {
      const bytes = await store.readBlob(descriptor, MANIFEST_LIMIT);
      return { descriptor, bytes, document: parseImageDocument(bytes, descriptor.mediaType, descriptor.digest) };
    },
    open: (descriptor, start, end, signal) => interruptible(readStored(store, descriptor, start, end), signal),
  };
}

/** The local store, or another place of blobs, as one to copy to. @param prover reads layers while they arrive. */
export function storeTarget(
  place: BlobPlace,
  { label = 'the store', prover }: { readonly label?: string; readonly prover?: LayerProver | undefined } = {},
): ContentTarget {
  return {
    label,
    has: (descriptor) => hasBlob(place, descriptor),
    pushBlob: (descriptor, open, onProgress, signal) =>
      receiveBlob(place, descriptor, { open, onProgress, signal, follow: prover?.follow(descriptor) }),
    async pushDocument({ descriptor, bytes }) {
      const { digest, size } = descriptor;
      const writer = await place.blobs.create(digest);
      await writer.write(bytes);
      await writer.commit({ digest, size });
    },
  };
}

async function hasBlob({ blobs }: BlobPlace, { digest, size }: Descriptor): Promise<boolean> {
  return (await blobs.size(digest)) === size;
}

async function* readStored(
  store: Store,
  { digest }: Descriptor,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void, void> {
  if (end <= start) return; // cannot be said with an inclusive end
  try {
    yield* store.openBlob(digest, { start, end: end - 1 });
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new SlipwayError('E_NOT_FOUND', `blob ${digest} is not in the store`, {
      hint: 'pull or build the image again',
      cause: error,
    });
  }
}
