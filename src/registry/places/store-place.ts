import { SlipwayError } from '../../base/errors.js';
import { parseReference } from '../../image/reference.js';
import { checkImage, findImage } from '../../store/local-image.js';
import { LayerProver } from '../../store/prove/layer-prover.js';
import type { Store } from '../../store/store.js';
import { storeName } from '../archive/layout-index.js';
import { storeSource, storeTarget } from '../store-content.js';
import type { ImageSource, ImageTarget } from './image-place.js';

/** An image of the store. Whoever copies it holds the store ({@link Store.use}). @throws SlipwayError E_NOT_FOUND … */
export async function storeImage(store: Store, text: string): Promise<ImageSource> {
  const { name, descriptor } = await findImage(store, text);
  return {
    label: name,
    content: storeSource(store),
    root: descriptor,
    names: [name],
    repositoriesWith: (digest, host) => store.repositoriesWith(digest, host),
    note: (digest, { host, repository }) => store.noteSource(digest, host, repository),
  };
}

/**
 * Uses a name in the store that an image is to have; it appears when everything else is there, can be read, and every layer is proved. Whoever copies
 * holds the store.
 * @param name undefined for that of the source; `null` for none at all: for a caller that uses the content while it holds the store, and wants
 * no more than that blobs are what their digests say.
 */
export async function withStoreTarget<T>(
  store: Store,
  name: string | null | undefined,
  use: (target: ImageTarget) => Promise<T>,
): Promise<T> {
  const prover = new LayerProver(store);
  try {
    return await use(storeImageTarget(store, name, prover));
  } finally {
    await prover.close();
  }
}

function storeImageTarget(store: Store, name: string | null | undefined, prover: LayerProver): ImageTarget {
  return {
    label: name ?? 'the store',
    known: storeSource(store),
    async receive(_, source) {
      nameFor(name, source); // a name that is missing is missing before anything is copied
      return storeTarget(store, name === null ? {} : { prover });
    },
    async finish(root, source) {
      const chosen = nameFor(name, source);
      if (chosen === undefined) return;
      await checkImage(store, chosen, root, (image) => prover.prove(image));
      await store.tag(chosen, root);
    },
    note: (digest, { host, repository }) => store.noteSource(digest, host, repository),
  };
}

function nameFor(name: string | null | undefined, source: ImageSource): string | undefined {
  if (name === null) return undefined;
  if (name !== undefined) return parseReference(name).name;
  // as it was written for a registry, as "pull" keeps it; an archive may have the longest form of any name
  const found = source.repository === undefined ? storeName(source) : source.names[0];
  if (found !== undefined) return found;
  throw new SlipwayError('E_USAGE', `the image of ${source.label} has no name that could be one of the store`, {
    hint: 'say which it is to have: store:NAME',
  });
}
