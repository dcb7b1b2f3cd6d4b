import { isSlipwayError } from '../../base/errors.js';
import { isDigest } from '../../image/digest.js';
import { type LocalImage, readImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';

/** An image of the store, by its name and its manifest. */
export type FoundImage = Pick<LocalImage, 'name' | 'descriptor'>;

/**
 * The image of the store that hosts were set up from: by the name that it had then, or any that it has now; undefined when it is not here. Hosts
 * know the digest of the manifest for their platform, names may lead to an index of several.
 */
export async function imageByDigest(
  store: Store,
  digest: string,
  names: readonly string[],
): Promise<FoundImage | undefined> {
  if (!isDigest(digest)) return undefined;
  const all = (await store.images()).map(({ name }) => name);
  for (const name of new Set([...names.filter((one) => all.includes(one)), ...all])) {
    try {
      const image = await readImage(store, name);
      if (image.descriptor.digest === digest) return image;
    } catch (error) {
      // One that is damaged, or for another platform, is not the one.
      if (!isSlipwayError(error)) throw error;
    }
  }
  return undefined;
}
