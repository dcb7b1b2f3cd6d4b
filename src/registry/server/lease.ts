import type { Digest } from '../../image/digest.js';
import type { Store } from '../../store/store.js';

/** Milliseconds that a push may pause before it is taken to be given up. */
const PAUSE = 5 * 60_000;
/** The same when nothing is at stake: the next request of the same client comes soon. */
const LINGER = 1_000;
/** Of how many clients it is remembered that they have asked. */
const MOST_CLIENTS = 1_000;

/** A client that has been told that something is here which a name leads to. */
interface Asker {
  /** When it asked last. */
  asked: number;
  /** It has written since: it asked because it pushes. */
  pushes: boolean;
}

/**
 * Keeps other processes from collecting blobs while clients push: what they have pushed, or seen to be here, is reached by no name until their
 * manifest comes. Held while something is written, then as long as blobs wait for their manifest; not for the life of the server:
 * `prune` must find its moment. Who only asks and reads does not hold it.
 */
export class PushLease {
  readonly #store: Store;
  readonly #loose = new Set<Digest>();
  readonly #askers = new Map<string, Asker>();
  #writing = 0;
  #held: Promise<() => void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Runs `work` while nothing can be collected.
   * @param client who writes: what it has asked about before belongs to its push.
   */
  async during<T>(work: () => Promise<T>, client: string): Promise<T> {
    clearTimeout(this.#timer);
    this.#writing++;
    try {
      this.#held ??= this.#acquire();
      await this.#held;
      const asker = this.#askers.get(client);
      if (asker !== undefined) asker.pushes = asker.asked > Date.now() - PAUSE;
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

  /**
   * A client has been told that a blob is here which a name leads to. It stays anyway, unless that name goes; it is held once the client writes
   * something, until its next manifest comes.
   */
  askedBy(client: string): void {
    const asker = this.#askers.get(client) ?? { asked: 0, pushes: false };
    asker.asked = Date.now();
    this.#askers.delete(client);
    this.#askers.set(client, asker);
    const [oldest] = this.#askers.keys();
    if (this.#askers.size > MOST_CLIENTS && oldest !== undefined) this.#askers.delete(oldest);
  }

  /** A manifest of a client has come that names these. */
  reached(digests: Iterable<Digest>, client: string): void {
    for (const digest of digests) this.#loose.delete(digest);
    this.#askers.delete(client);
  }

  /** Lets go, whatever is under way. */
  end(): void {
    clearTimeout(this.#timer);
    this.#loose.clear();
    for (const asker of this.#askers.values()) asker.pushes = false;
    const held = this.#held;
    this.#held = undefined;
    held?.then(
      (release) => release(),
      () => {},
    );
  }

  #waitForMore(): void {
    clearTimeout(this.#timer);
    const pushes = this.#loose.size > 0 || [...this.#askers.values()].some((asker) => asker.pushes);
    this.#timer = setTimeout(() => this.end(), pushes ? PAUSE : LINGER).unref();
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
