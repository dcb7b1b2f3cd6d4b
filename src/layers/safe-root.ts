import { chmodSync, lstatSync, mkdirSync, readlinkSync, rmdirSync, type Stats, unlinkSync } from 'node:fs';
import { joinPath, nameOf, parentOf } from './layer-names.js';
import { namesIn } from './names-in.js';
import { fsPath, pathFromBytes } from './path-bytes.js';
import { unsafeArchive } from './tar-limits.js';

const MAX_LINKS = 40;

/** Links followed for one path altogether, as the kernel counts them: chains of links to links grow exponentially otherwise. */
interface Followed {
  links: number;
}

/**
 * A directory that strangers' paths are resolved in, so that nothing outside is ever reached: every component is looked at with lstat,
 * and symbolic links are followed as if the directory were the root of the system (like chroot, and containerd's RootPath).
 *
 * What has been found to be a directory is remembered until something that was a directory or a link is removed. Whoever uses it is
 * the only one to change the directory meanwhile.
 */
export class SafeRoot {
  readonly #root: string;
  /** Path as asked for → path without links. */
  readonly #known = new Map<string, string>([['', '']]);

  /** @param root a real, absolute path. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The path on this machine of a resolved path. */
  absolute(resolved: string): string {
    return resolved === '' ? this.#root : `${this.#root}/${resolved}`;
  }

  /** lstat of a resolved path; undefined when nothing is there. */
  stat(resolved: string): Stats | undefined {
    return lstatSync(fsPath(this.absolute(resolved)), { throwIfNoEntry: false });
  }

  /**
   * The directory at `path`, links followed inside the root; made, with its parents, where it is missing or something else is in the way.
   * @returns its path without links.
   * @throws SlipwayError E_UNSAFE_ARCHIVE when links go in a circle.
   */
  makeDirectory(path: string): string {
    return this.#known.get(path) ?? this.#resolve(path, true, { links: 0 }) ?? '';
  }

  /** The directory at `path`, links followed inside the root; undefined when there is none. */
  findDirectory(path: string): string | undefined {
    return this.#known.get(path) ?? this.#resolve(path, false, { links: 0 });
  }

  /** True when `path` is a directory and no component of it, nor itself, is a symbolic link. */
  isPlainDirectory(path: string): boolean {
    if (path === '') return true;
    return this.isPlainDirectory(parentOf(path)) && this.stat(path)?.isDirectory() === true;
  }

  /** Removes whatever is at a resolved path, without following links. */
  remove(resolved: string, stats: Stats | undefined = this.stat(resolved)): void {
    if (stats === undefined) return;
    const file = this.absolute(resolved);
    if (stats.isDirectory()) {
      for (const name of namesIn(file)) this.remove(joinPath(resolved, name));
      rmdirSync(fsPath(file));
    } else {
      unlinkSync(fsPath(file));
    }
    if (stats.isDirectory() || stats.isSymbolicLink()) this.#forget();
  }

  #forget(): void {
    if (this.#known.size === 1) return;
    this.#known.clear();
    this.#known.set('', '');
  }

  #resolve(path: string, make: boolean, followed: Followed): string | undefined {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const parent = this.#resolve(parentOf(path), make, followed);
    if (parent === undefined) return undefined;
    const here = joinPath(parent, nameOf(path));
    const resolved = this.#step(parent, here, make, followed);
    if (resolved !== undefined) this.#known.set(path, resolved);
    return resolved;
  }

  /** `here`, the child of a resolved directory, as a directory. */
  #step(parent: string, here: string, make: boolean, followed: Followed): string | undefined {
    const stats = this.stat(here);
    if (stats?.isDirectory() === true) return here;
    if (stats?.isSymbolicLink() === true) return this.#follow(parent, here, make, followed);
    if (!make) return undefined;
    if (stats !== undefined) this.remove(here, stats);
    mkdirSync(fsPath(this.absolute(here)));
    chmodSync(fsPath(this.absolute(here)), 0o755);
    return here;
  }

  #follow(parent: string, link: string, make: boolean, followed: Followed): string | undefined {
    if (++followed.links > MAX_LINKS)
      throw unsafeArchive(`the path ${JSON.stringify(link)} goes through too many symbolic links`);
    const target = pathFromBytes(readlinkSync(fsPath(this.absolute(link)), { encoding: 'buffer' }));
    let at = target.startsWith('/') ? '' : parent;
    for (const part of target.split('/')) {
      if (part === '' || part === '.') continue;
      // `at` has no links in it, so its parent is what is before the last slash. Above the root is the root.
      const next = part === '..' ? parentOf(at) : this.#step(at, joinPath(at, part), make, followed);
      if (next === undefined) return undefined;
      at = next;
    }
    return at;
  }
}
