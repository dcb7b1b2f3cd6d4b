import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import { fsPath, pathFromBytes } from '../../layers/path-bytes.js';
import { comparePaths } from '../../layers/toc.js';
import type { IgnoreRules } from '../ignore-rules.js';
import type { SourceEntry, SourceTree } from './source-tree.js';

const MOST_LINKS = 40;

/** A directory whose names are being visited. */
interface Frame {
  readonly names: readonly string[];
  next: number;
  /** The path as it is shown, and without the links that led to it. */
  readonly shown: string;
  readonly real: string;
  /** The directory itself, when it is hidden and shown only if something in it is not. */
  pending: SourceEntry | undefined;
}

/**
 * A directory of this machine as a source of COPY. Nothing outside it is ever read: `..` and links are resolved inside, where a link to
 * `/x` means `x` of the directory. FIFOs, sockets and devices are looked at and never opened.
 */
export class DirectorySource implements SourceTree {
  readonly root: string;
  readonly what: string;
  readonly #modeOf: (stats: Stats) => number;
  readonly #rules: IgnoreRules | undefined;
  readonly #aboveRoot: 'refused' | 'root';

  /**
   * @param root without symbolic links. @param what for messages.
   * @param modeOf the permission bits that an entry gets. @param rules what they hide is not there.
   * @param aboveRoot what `..` means at the root: an error, or the root itself.
   */
  constructor(
    root: string,
    what: string,
    modeOf: (stats: Stats) => number,
    rules?: IgnoreRules,
    aboveRoot: 'refused' | 'root' = 'refused',
  ) {
    this.root = root;
    this.what = what;
    this.#modeOf = modeOf;
    this.#rules = rules;
    this.#aboveRoot = aboveRoot;
  }

  find(path: string): SourceEntry | undefined {
    const resolved = this.#resolve(path)?.join('/');
    if (resolved === undefined) return undefined;
    const stats = this.#lstat(resolved);
    const entry = stats && this.#entry(path, resolved, stats);
    // The link that was named may be hidden, or what it leads to.
    const hiddenBy = (path.includes('..') ? undefined : this.#hiddenBy(plain(path))) ?? this.#hiddenBy(resolved);
    return entry === undefined || hiddenBy === undefined ? entry : { ...entry, hiddenBy };
  }

  findMatch(path: string): SourceEntry | undefined {
    try {
      const found = this.find(path);
      if (found !== undefined) return found;
    } catch (error) {
      if (!isSlipwayError(error, 'E_COPY')) throw error;
    }
    const parent = this.#resolve(parentOf(path));
    if (parent === undefined) return undefined;
    const real = joinPath(parent.join('/'), nameOf(path));
    const stats = this.#lstat(real);
    if (stats === undefined) return undefined;
    const hiddenBy = this.#hiddenBy(real);
    return { ...this.#entry(path, real, stats), ...(hiddenBy === undefined ? {} : { hiddenBy }) };
  }

  isLink(path: string): boolean {
    const parent = this.#resolve(parentOf(path));
    return parent !== undefined && this.#lstat(joinPath(parent.join('/'), nameOf(path)))?.isSymbolicLink() === true;
  }

  names(dir: string): readonly string[] {
    const resolved = this.#resolve(dir);
    return resolved === undefined ? [] : this.#names(resolved.join('/'));
  }

  /** A hidden directory that need not be read: nothing in it can be excepted. */
  #isHiddenWhole(real: string): boolean {
    return this.#hiddenBy(real) !== undefined && this.#rules?.mayExceptBelow(real) === false;
  }

  *walk(dir: string): Generator<SourceEntry> {
    const resolved = this.#resolve(dir)?.join('/');
    if (resolved === undefined || this.#isHiddenWhole(resolved)) return;
    // Not recursive: a directory may be thousands deep.
    const frames: Frame[] = [this.#frame(dir, resolved, undefined)];
    let pending = 0;
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const name = frame.names[frame.next++];
      if (name === undefined) {
        if (frame.pending !== undefined) pending--;
        frames.pop();
        continue;
      }
      const shown = joinPath(frame.shown, name);
      const real = joinPath(frame.real, name);
      const stats = this.#lstat(real);
      if (stats === undefined) {
        throw new SlipwayError('E_FILE_CHANGED', `${this.#file(real)} vanished while ${this.what} was read`, {
          hint: 'stop whatever changes it and try again',
        });
      }
      const hidden = this.#hiddenBy(real) !== undefined;
      if (!hidden) {
        if (pending > 0) {
          for (const above of frames) {
            if (above.pending !== undefined) yield above.pending;
            above.pending = undefined;
          }
          pending = 0;
        }
        const entry = this.#entry(shown, real, stats);
        yield entry;
        if (entry.type === 'dir') frames.push(this.#frame(shown, real, undefined));
      } else if (stats.isDirectory() && this.#rules?.mayExceptBelow(real) === true) {
        frames.push(this.#frame(shown, real, this.#entry(shown, real, stats)));
        pending++;
      }
    }
  }

  #frame(shown: string, real: string, pending: SourceEntry | undefined): Frame {
    return { names: this.#names(real), next: 0, shown, real, pending };
  }

  #hiddenBy(path: string): string | undefined {
    if (path === '' || this.#rules === undefined) return undefined;
    return this.#rules.ignores(path) ? this.#rules.file : undefined;
  }

  #entry(path: string, real: string, stats: Stats): SourceEntry {
    const type = typeOf(stats);
    const common = { path, type, uid: 0, gid: 0, mode: type === 'symlink' ? 0o777 : this.#modeOf(stats) };
    if (type === 'file') {
      const file = this.#file(real);
      return {
        ...common,
        size: stats.size,
        content: { in: 'directory', file, stats },
        ...(stats.nlink > 1 ? { inode: `${stats.dev}:${stats.ino}` } : {}),
      };
    }
    if (type === 'symlink') return { ...common, size: 0, linkTarget: this.#readlink(real) };
    return { ...common, size: 0 };
  }

  #file(path: string): string {
    return path === '' ? this.root : `${this.root}/${path}`;
  }

  #names(real: string): string[] {
    return this.#guarded(real, () =>
      readdirSync(fsPath(this.#file(real)), { encoding: 'buffer' })
        .map(pathFromBytes)
        .sort(comparePaths),
    );
  }

  #lstat(real: string): Stats | undefined {
    return this.#guarded(real, () => {
      try {
        return lstatSync(fsPath(this.#file(real)), { throwIfNoEntry: false });
      } catch (error) {
        if (errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      }
    });
  }

  #readlink(real: string): string {
    return this.#guarded(real, () => pathFromBytes(readlinkSync(fsPath(this.#file(real)), { encoding: 'buffer' })));
  }

  /** Says what was read, relative to the root, when the system refuses. */
  #guarded<T>(real: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const shown = real.length > 200 ? `${real.slice(0, 100)}…${real.slice(-60)}` : real || '.';
      switch (errnoOf(error)) {
        case 'ENAMETOOLONG':
          throw new SlipwayError('E_COPY', `${shown} of ${this.what}: the path is too long for this machine`, {
            hint: 'hide it with a line in .dockerignore, or make its directories fewer or shorter',
            cause: error,
          });
        case 'ENOENT':
        case 'ENOTDIR':
        case 'EINVAL':
          throw new SlipwayError('E_FILE_CHANGED', `${shown} of ${this.what} changed while it was read`, {
            hint: 'stop whatever changes it and try again',
            cause: error,
          });
        default: {
          const failure = fileSystemError(error, `reading ${shown} of ${this.what}`);
          if (!isSlipwayError(failure, 'E_PERMISSION')) throw failure;
          throw new SlipwayError('E_PERMISSION', failure.message, {
            hint: 'make it readable, or hide it with a line in .dockerignore',
            cause: error,
          });
        }
      }
    }
  }

  /** The names that lead to a path when links are followed; undefined when nothing is there. */
  #resolve(path: string): string[] | undefined {
    const pending = path.split('/').reverse();
    const done: string[] = [];
    let links = 0;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (done.length === 0 && this.#aboveRoot === 'root') continue;
        if (done.length === 0)
          throw new SlipwayError('E_COPY', `${path} leaves ${this.what}`, {
            hint: 'only what is in it can be copied',
          });
        done.pop();
        continue;
      }
      const real = [...done, part].join('/');
      const stats = this.#lstat(real);
      if (stats === undefined) return undefined;
      if (!stats.isSymbolicLink()) {
        if (!stats.isDirectory() && pending.some((rest) => rest !== '' && rest !== '.')) return undefined;
        done.push(part);
        continue;
      }
      if (++links > MOST_LINKS)
        throw new SlipwayError('E_COPY', `${path}: too many symbolic links, or a circle of them`);
      const target = this.#readlink(real);
      if (target.startsWith('/')) done.length = 0;
      pending.push(...target.split('/').reverse());
    }
    return done;
  }
}

function typeOf(stats: Stats): SourceEntry['type'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  return stats.isCharacterDevice() ? 'char' : 'block';
}

/** A path without empty and `.` components. */
function plain(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}
