import { lstatSync, type Stats } from 'node:fs';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { HeldDirectory } from '../../layers/held-directory.js';
import { joinPath } from '../../layers/layer-names.js';
import { fsPath } from '../../layers/path-bytes.js';
import { DEFAULT_LIMITS } from '../../layers/tar-limits.js';
import { comparePaths } from '../../layers/toc.js';
import type { IgnoreRules } from '../context/ignore-rules.js';
import type { SourceContent, SourceEntry, SourceTree } from './source-tree.js';

const MOST_LINKS = 40;

/** Something in a directory, as it was when the directory was read. */
interface Found {
  readonly name: string;
  readonly stats: Stats;
  readonly linkTarget: string | undefined;
}

/** A directory that is being visited. */
interface Frame {
  readonly found: readonly Found[];
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
    const found = this.#resolve(path, 'follow');
    if (found === undefined) return undefined;
    const entry = this.#entry(path, found.real, found);
    // The link that was named may be hidden, or what it leads to.
    const hiddenBy = (path.includes('..') ? undefined : this.#hiddenBy(plain(path))) ?? this.#hiddenBy(found.real);
    return hiddenBy === undefined ? entry : { ...entry, hiddenBy };
  }

  findMatch(path: string): SourceEntry | undefined {
    try {
      const found = this.find(path);
      if (found !== undefined) return found;
    } catch (error) {
      if (!isSlipwayError(error, 'E_COPY')) throw error;
    }
    const link = this.#resolve(path, 'stay');
    if (link === undefined) return undefined;
    const hiddenBy = this.#hiddenBy(link.real);
    return { ...this.#entry(path, link.real, link), ...(hiddenBy === undefined ? {} : { hiddenBy }) };
  }

  isLink(path: string): boolean {
    return this.#resolve(path, 'stay')?.stats.isSymbolicLink() === true;
  }

  names(dir: string): readonly string[] {
    const found = this.#resolve(dir, 'follow');
    if (found?.stats.isDirectory() !== true) return [];
    return this.#inside(found.real, (held) => held.names().sort(comparePaths));
  }

  /** A hidden directory that need not be read: nothing in it can be excepted. */
  #isHiddenWhole(real: string): boolean {
    return this.#hiddenBy(real) !== undefined && this.#rules?.mayExceptBelow(real) === false;
  }

  *walk(dir: string): Generator<SourceEntry> {
    const start = this.#resolve(dir, 'follow');
    if (start?.stats.isDirectory() !== true || this.#isHiddenWhole(start.real)) return;
    // Not recursive: a directory may be thousands deep.
    const frames: Frame[] = [this.#frame(dir, start.real, undefined)];
    let pending = 0;
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      const found = frame.found[frame.next++];
      if (found === undefined) {
        if (frame.pending !== undefined) pending--;
        frames.pop();
        continue;
      }
      const { name, stats } = found;
      const shown = joinPath(frame.shown, name);
      const real = joinPath(frame.real, name);
      // Nothing deeper can be in an image, and each directory is opened from the root.
      if (frames.length > DEFAULT_LIMITS.depth || real.length > DEFAULT_LIMITS.pathLength)
        throw tooDeep(real, this.what);
      const hidden = this.#hiddenBy(real) !== undefined;
      if (!hidden) {
        if (pending > 0) {
          for (const above of frames) {
            if (above.pending !== undefined) yield above.pending;
            above.pending = undefined;
          }
          pending = 0;
        }
        const entry = this.#entry(shown, real, found);
        yield entry;
        if (entry.type === 'dir') frames.push(this.#frame(shown, real, undefined));
      } else if (stats.isDirectory() && this.#rules?.mayExceptBelow(real) === true) {
        frames.push(this.#frame(shown, real, this.#entry(shown, real, found)));
        pending++;
      }
    }
  }

  /** Reads a directory and looks at all that is in it, while it is held: nobody can put another one in its place meanwhile. */
  #frame(shown: string, real: string, pending: SourceEntry | undefined): Frame {
    const found = this.#inside(real, (held) =>
      held
        .names()
        .sort(comparePaths)
        .map((name): Found => {
          const stats = held.lstat(name);
          if (stats === undefined) throw this.#changed(joinPath(real, name));
          return { name, stats, linkTarget: stats.isSymbolicLink() ? held.readlink(name) : undefined };
        }),
    );
    return { found, next: 0, shown, real, pending };
  }

  #hiddenBy(path: string): string | undefined {
    if (path === '' || this.#rules === undefined) return undefined;
    return this.#rules.ignores(path) ? this.#rules.file : undefined;
  }

  #entry(path: string, real: string, { stats, linkTarget = '' }: Omit<Found, 'name'>): SourceEntry {
    const type = typeOf(stats);
    if (type === 'file') {
      // Few fields and no spreads: there may be hundreds of thousands of these.
      const { dev, ino, size, mtimeMs, ctimeMs } = stats;
      const content: SourceContent = {
        in: 'directory',
        file: this.#file(real),
        stats: { dev, ino, size, mtimeMs, ctimeMs },
      };
      const mode = this.#modeOf(stats);
      return stats.nlink > 1
        ? { path, type, mode, uid: 0, gid: 0, size, content, inode: `${dev}:${ino}` }
        : { path, type, mode, uid: 0, gid: 0, size, content };
    }
    if (type === 'symlink') return { path, type, mode: 0o777, uid: 0, gid: 0, size: 0, linkTarget };
    return { path, type, mode: this.#modeOf(stats), uid: 0, gid: 0, size: 0 };
  }

  #file(path: string): string {
    return path === '' ? this.root : `${this.root}/${path}`;
  }

  /** Looks at what is in a directory, which is held meanwhile. @param real without links. */
  #inside<T>(real: string, look: (held: HeldDirectory) => T): T {
    return this.#guarded(real, () => {
      const held = HeldDirectory.below(this.root, real === '' ? [] : real.split('/'));
      try {
        return look(held);
      } finally {
        held.close();
      }
    });
  }

  /** Says what was read, relative to the root, when the system refuses. */
  #guarded<T>(real: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      const shown = shorten(real);
      switch (errnoOf(error)) {
        case 'ENAMETOOLONG':
          throw new SlipwayError('E_COPY', `${shown} of ${this.what}: the path is too long for this machine`, {
            hint: 'hide it with a line in .dockerignore, or make its directories fewer or shorter',
            cause: error,
          });
        case 'ENOENT':
        case 'ENOTDIR':
        case 'ELOOP':
        case 'EINVAL':
          throw this.#changed(real, error);
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

  #changed(real: string, cause?: unknown): SlipwayError {
    return new SlipwayError('E_FILE_CHANGED', `${shorten(real)} of ${this.what} changed while it was read`, {
      hint: 'stop whatever changes it and try again',
      cause,
    });
  }

  /**
   * What is at a path, and the path without links; undefined when nothing is there.
   * @param last whether a link in the last component is followed.
   */
  #resolve(path: string, last: 'follow' | 'stay'): (Omit<Found, 'name'> & { readonly real: string }) | undefined {
    const pending = path.split('/').reverse();
    const done: string[] = [];
    let links = 0;
    let found: Omit<Found, 'name'> | undefined;
    for (let part = pending.pop(); part !== undefined; part = pending.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (done.length === 0 && this.#aboveRoot === 'root') continue;
        if (done.length === 0)
          throw new SlipwayError('E_COPY', `${path} leaves ${this.what}`, {
            hint: 'only what is in it can be copied',
          });
        done.pop();
        found = undefined;
        continue;
      }
      const name = part;
      found = this.#inside(done.join('/'), (held) => {
        const stats = held.lstat(name);
        return stats && { stats, linkTarget: stats.isSymbolicLink() ? held.readlink(name) : undefined };
      });
      if (found === undefined) return undefined;
      const isLast = !pending.some((rest) => rest !== '' && rest !== '.');
      if (found.linkTarget === undefined || (isLast && last === 'stay')) {
        if (!isLast && !found.stats.isDirectory()) return undefined;
        done.push(part);
        continue;
      }
      if (++links > MOST_LINKS)
        throw new SlipwayError('E_COPY', `${path}: too many symbolic links, or a circle of them`);
      if (found.linkTarget.startsWith('/')) done.length = 0;
      pending.push(...found.linkTarget.split('/').reverse());
      found = undefined;
    }
    if (found !== undefined) return { ...found, real: done.join('/') };
    // It ended with "..", or is the root: always directories.
    const stats = this.#guarded(done.join('/'), () => lstatSync(fsPath(this.#file(done.join('/')))));
    return stats.isDirectory() ? { stats, linkTarget: undefined, real: done.join('/') } : undefined;
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

function tooDeep(real: string, what: string): SlipwayError {
  const { depth, pathLength } = DEFAULT_LIMITS;
  return new SlipwayError(
    'E_COPY',
    `${shorten(real)} of ${what} cannot be in an image: at most ${depth} directories and ${pathLength} bytes are possible`,
    { hint: 'hide it with a line in .dockerignore, or make its directories fewer or shorter' },
  );
}

function shorten(path: string): string {
  return path.length > 200 ? `${path.slice(0, 100)}…${path.slice(-60)}` : path || '.';
}
