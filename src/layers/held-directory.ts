import { closeSync, constants, lstatSync, openSync, readlinkSync, type Stats } from 'node:fs';
import { namesIn } from './names-in.js';
import { fsPath, pathFromBytes } from './path-bytes.js';

/** open(2): only a place in the file system, which needs no right to read. Linux's number on all of Node's architectures. */
const O_PATH = 0x200000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/**
 * A directory held open, as openat(2) would have it: what is looked at through it is in this very directory, whatever somebody puts in the place
 * of it or of those above meanwhile. To be closed.
 */
export class HeldDirectory {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** @throws the error of open(2): ENOENT, ENOTDIR (also for a symbolic link), EACCES … */
  static open(path: string): HeldDirectory {
    return new HeldDirectory(openSync(fsPath(path), FLAGS));
  }

  /** The directory that these names lead to from `root`; none of them may be a symbolic link. @throws as {@link open}. */
  static below(root: string, names: readonly string[]): HeldDirectory {
    let held = HeldDirectory.open(root);
    for (const name of names) {
      try {
        const next = held.child(name);
        held.close();
        held = next;
      } catch (error) {
        held.close();
        throw error;
      }
    }
    return held;
  }

  /** A directory in this one. @throws as {@link open}. */
  child(name: string): HeldDirectory {
    return HeldDirectory.open(this.#path(name));
  }

  names(): string[] {
    return namesIn(`/proc/self/fd/${this.#fd}`);
  }

  lstat(name: string): Stats | undefined {
    return lstatSync(fsPath(this.#path(name)), { throwIfNoEntry: false });
  }

  readlink(name: string): string {
    return pathFromBytes(readlinkSync(fsPath(this.#path(name)), { encoding: 'buffer' }));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #path(name: string): string {
    return `/proc/self/fd/${this.#fd}/${name}`;
  }
}
