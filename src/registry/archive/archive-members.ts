import { posix } from 'node:path';
import { checkLimit } from '../../layers/tar-limits.js';
import type { TarMember } from '../../layers/tar-reader.js';

/** Bytes of all paths of an archive together: they are held in memory. */
const NAMES_LIMIT = 128 * 1024 * 1024;
/** Symbolic links that lead to each other. */
const MOST_HOPS = 10;

/** The members of an archive by path; where links lead is found within the archive, nowhere else. */
export class ArchiveMembers<T> {
  readonly #files = new Map<string, T>();
  readonly #links = new Map<string, string>();
  #names = 0;

  /** Notes a link, or nothing for what is neither link nor file. */
  noteLink({ path, type, linkTarget = '' }: TarMember): void {
    if (type === 'symlink') this.#links.set(path, posix.join(posix.dirname(path), linkTarget));
    else if (type === 'hardlink') this.#links.set(path, linkTarget);
    else return;
    this.#count(path, linkTarget);
  }

  /** Of two files with one path the later counts, as for whoever unpacks the archive. */
  set(path: string, file: T): void {
    this.#files.set(path, file);
    this.#count(path, '');
  }

  /** @returns undefined when there is no such file. */
  find(path: string): T | undefined {
    let at = posix.normalize(path).replace(/^\/+/, '');
    for (let hops = 0; hops <= MOST_HOPS; hops++) {
      const found = this.#files.get(at);
      if (found !== undefined) return found;
      const next = this.#links.get(at);
      if (next === undefined) return undefined;
      at = posix.normalize(next);
    }
    return undefined;
  }

  /** Paths of files. */
  paths(): IterableIterator<string> {
    return this.#files.keys();
  }

  #count(path: string, target: string): void {
    this.#names += path.length + target.length;
    checkLimit(this.#names, NAMES_LIMIT, 'its paths are too long together');
  }
}
