import { isSlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { successors, visited } from '../../image/graph.js';
import { isDocumentType } from '../../image/media-types.js';
import type { Descriptor } from '../../image/oci.js';
import { readDocument } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';

/** Documents that are remembered. */
const MOST = 10_000;

/** What the names of a store lead to. What a document names never changes, so each is read once. */
export class NamedContent {
  readonly #store: Store;
  readonly #next = new Map<Digest, readonly Descriptor[]>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Whether a name leads to it: then no collection takes it, as long as that name is there. */
  async has(digest: Digest): Promise<boolean> {
    const seen = new Set<string>();
    const wanted = (await this.#store.images()).map(({ descriptor }) => descriptor);
    for (let at = wanted.pop(); at !== undefined; at = wanted.pop()) {
      if (at.digest === digest) return true;
      if (seen.has(visited(at)) || !isDocumentType(at.mediaType)) continue;
      seen.add(visited(at));
      wanted.push(...(await this.#successors(at)));
    }
    return false;
  }

  async #successors(descriptor: Descriptor): Promise<readonly Descriptor[]> {
    const known = this.#next.get(descriptor.digest);
    if (known !== undefined) return known;
    try {
      const next = successors(await readDocument(this.#store, descriptor, descriptor.digest));
      if (this.#next.size >= MOST) this.#next.clear();
      this.#next.set(descriptor.digest, next);
      return next;
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      return []; // of another platform, and not here; or damaged
    }
  }
}
