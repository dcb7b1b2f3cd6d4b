import type { Store } from '../../store/store.js';

/** Milliseconds after the last write of a client in which a push is taken to be under way. */
const QUIET = 30_000;

/**
 * Keeps other processes from collecting blobs while clients push: a pushed blob is reached by no name until its manifest comes.
 * Held from a write until nothing has been written for a while, not for the life of the server: `prune` must find its moment.
 */
export class PushLease {
  readonly #store: Store;
  #held: Promise<() => void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Something is being written: resolves when nothing can be collected any more. */
  async extend(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), QUIET).unref();
    this.#held ??= this.#acquire();
    await this.#held;
  }

  /** Lets go. */
  end(): void {
    clearTimeout(this.#timer);
    const held = this.#held;
    this.#held = undefined;
    held?.then(
      (release) => release(),
      () => {},
    );
  }

  #acquire(): Promise<() => void> {
    return new Promise((resolve, reject) => {
      this.#store.use(() => new Promise<void>((release) => resolve(release))).catch(reject);
    });
  }
}
