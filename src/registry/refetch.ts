import { isSlipwayError, SlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import { isIndexType, isManifestType } from '../image/media-types.js';
import { parseReference, registryAddress } from '../image/reference.js';
import type { Lost } from '../store/check/report.js';
import { receiveBlob } from '../store/partial-blob.js';
import type { BlobSource } from '../store/source-notes.js';
import type { Store } from '../store/store.js';
import { Repository } from './client.js';
import type { RegistryOptions } from './options.js';

/**
 * Brings a blob of the store again from where it came, in place of what is there: the repositories that it, or another blob of the same
 * images, is known to be in, then those that the images are named for.
 * @returns `host/repository` that had it.
 * @throws SlipwayError E_NOT_FOUND when no place is known; else why the last one could not give it.
 */
export async function refetchBlob(store: Store, blob: Lost, options: RegistryOptions): Promise<string> {
  const places = await placesOf(store, blob);
  let failure = new SlipwayError('E_NOT_FOUND', 'it is not known where it came from');
  for (const { host, repository: name } of places) {
    const repository = new Repository(host, name, options);
    try {
      await bring(store, repository, blob, options.signal);
      await store.noteSource(blob.digest, host, name);
      return `${host}/${name}`;
    } catch (error) {
      if (!isSlipwayError(error) || ['E_INTERRUPTED', 'E_NO_SPACE', 'E_PERMISSION'].includes(error.code)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function bring(
  store: Store,
  repository: Repository,
  { digest, size, mediaType }: Lost,
  signal: AbortSignal | undefined,
): Promise<void> {
  const isDocument = isManifestType(mediaType) || isIndexType(mediaType);
  async function* document(): AsyncGenerator<Uint8Array> {
    yield (await repository.fetchManifest(digest, signal, size)).bytes;
  }
  await receiveBlob(
    store,
    { digest, size },
    {
      replace: true,
      signal,
      open: (start, end) =>
        isDocument
          ? fromByte(document(), start)
          : repository.fetchBlob({ digest, size }, { start, end, verify: false, signal }),
    },
  );
}

async function* fromByte(content: AsyncIterable<Uint8Array>, start: number): AsyncGenerator<Uint8Array> {
  let left = start;
  for await (const chunk of content) {
    yield chunk.subarray(Math.min(left, chunk.byteLength));
    left -= Math.min(left, chunk.byteLength);
  }
}

async function placesOf(store: Store, { digest, siblings, images }: Lost): Promise<readonly BlobSource[]> {
  const noted = async (id: Digest): Promise<readonly BlobSource[]> => store.sourcesOf(id);
  const found = [
    ...(await noted(digest)),
    ...(await Promise.all(siblings.map(noted))).flat(),
    ...images.flatMap(ofName),
  ];
  return [...new Map(found.map((place) => [`${place.host}/${place.repository}`, place])).values()];
}

/** A name without a host may be one that was only ever built here: nobody is asked for it. */
function ofName(name: string): readonly BlobSource[] {
  try {
    const reference = parseReference(name);
    return reference.host === undefined ? [] : [registryAddress(reference)];
  } catch {
    return []; // `mount at DIR`
  }
}
