import { errnoOf, SlipwayError } from '../base/errors.js';
import { type Descriptor, MANIFEST_LIMIT, parseImageDocument } from '../image/oci.js';
import type { Store } from '../store/store.js';
import type { ContentSource, ContentTarget } from './content.js';
import { interruptible } from './interruptible.js';

/** The local store as a place to copy from. */
export function storeSource(store: Store): ContentSource {
  return {
    label: 'the store',
    has: (descriptor) => hasBlob(store, descriptor),
    async document(descriptor) {
      const bytes = await store.readBlob(descriptor, MANIFEST_LIMIT);
      return { descriptor, bytes, document: parseImageDocument(bytes, descriptor.mediaType, descriptor.digest) };
    },
    open: (descriptor, start, end, signal) => interruptible(readStored(store, descriptor, start, end), signal),
  };
}

/** The local store as a place to copy to. */
export function storeTarget(store: Store): ContentTarget {
  return {
    label: 'the store',
    has: (descriptor) => hasBlob(store, descriptor),
    async pushBlob(descriptor, open, onProgress) {
      await writeBlob(store, descriptor, open(0, descriptor.size), onProgress);
      return 'copied';
    },
    pushDocument: ({ descriptor, bytes }) => writeBlob(store, descriptor, [bytes], () => {}),
  };
}

async function hasBlob(store: Store, { digest, size }: Descriptor): Promise<boolean> {
  return (await store.blobSize(digest)) === size;
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

async function writeBlob(
  store: Store,
  { digest, size }: Descriptor,
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const writer = await store.newBlob(digest);
  try {
    for await (const chunk of content) {
      await writer.write(chunk);
      onProgress(chunk.byteLength);
    }
    await writer.commit({ digest, size });
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
