import type { Digest } from '../../image/digest.js';
import type { Store } from '../../store/store.js';

/** Milliseconds that a push may pause before it is taken to be given up. */
const PAUSE = 5 * 60_000;
/** The same when nothing is at stake: the next request of the same client comes soon. */
const LINGER = 1_000;

/**
 * Keeps other processes from collecting blobs while clients push: what they have pushed, or seen to be here, is reached by no name until their
 * manifest comes. Held while something is written, then as long as blobs wait for their manifest; not for the life of the server:
 * `prune` must find its moment.
 */
export class PushLease {
  readonly #store: Store;
  readonly #loose = new Set<Digest>();
  #writing = 0;
  #held: Promise<() => void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Runs `work` while nothing can be collected. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#timer);
    this.#writing++;
    try {
      this.#held ??= this.#acquire();
      await this.#held;
      return await work();
    } finally {
      this.#writing--;
      if (this.#writing === 0) this.#waitForMore();
    }
  }

  /** A client relies on a blob being here. */
  expectManifestFor(digest: Digest): void {
    this.#loose.add(digest);
  }

  /** A manifest has come that names these. */
  reached(digests: Iterable<Digest>): void {
    for (const digest of digests) this.#loose.delete(digest);
  }

  /** Lets go, whatever is under way. */
  end(): void {
    clearTimeout(this.#timer);
    this.#loose.clear();
    const held = this.#held;
    this.#held = undefined;
    held?.then(
      (release) => release(),
      () => {},
    );
  }

  #waitForMore(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), this.#loose.size > 0 ? PAUSE : LINGER).unref();
  }

  #acquire(): Promise<() => void> {
    return new Promise((resolve, reject) => {
      this.#store
        .use(() => new Promise<void>((release) => resolve(release)))
        .catch((error: unknown) => {
          this.#held = undefined; // the next one tries again
          reject(error);
        });
    });
  }
}
