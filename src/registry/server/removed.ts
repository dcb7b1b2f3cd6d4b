import type { Digest } from '../../image/digest.js';

/** How many are remembered; the oldest are forgotten. */
const MOST = 100_000;

/**
 * What clients have deleted from a repository: it is not shown there any more. Repositories share the content of one store, where it stays
 * until a collection finds that no name needs it; a server that is started anew shows what is still there.
 */
export class Removed {
  readonly #keys = new Set<string>();

  has(repository: string, digest: Digest): boolean {
    return this.#keys.has(key(repository, digest));
  }

  add(repository: string, digest: Digest): void {
    this.#keys.add(key(repository, digest));
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MOST) break;
      this.#keys.delete(oldest);
    }
  }

  /** It has been pushed again. */
  restore(repository: string, digest: Digest): void {
    this.#keys.delete(key(repository, digest));
  }
}

function key(repository: string, digest: Digest): string {
  return `${repository} ${digest}`;
}
