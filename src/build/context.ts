import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { errnoOf, isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import { nameOf, parentOf } from '../layers/layer-names.js';
import { fsPath, pathFromBytes } from '../layers/path-bytes.js';
import { comparePaths } from '../layers/toc.js';
import { type IgnoreRules, openIgnoreRules } from './ignore-rules.js';

/** A file, directory or link of the build context. */
export interface ContextEntry {
  /** Relative to the context, `''` for the context itself. */
  readonly path: string;
  /** Where it is on this machine. */
  readonly file: string;
  readonly stats: Stats;
}

const MOST_LINKS = 40;

/** The directory that COPY takes from. Nothing outside it is ever read: names and links are resolved inside. */
export class BuildContext {
  readonly root: string;
  readonly #rules: IgnoreRules | undefined;

  private constructor(root: string, rules: IgnoreRules | undefined) {
    this.root = root;
    this.#rules = rules;
  }

  /**
   * @param dir the context directory. @param kubefile path of the Kubefile, whose own ignore file wins.
   * @throws SlipwayError E_NOT_FOUND when `dir` is not a directory.
   */
  static async open(dir: string, kubefile: string): Promise<BuildContext> {
    let root: string;
    try {
      root = await realpath(dir);
      if (!(await stat(root)).isDirectory()) throw new Error('it is not a directory');
    } catch (cause) {
      throw new SlipwayError(
        'E_NOT_FOUND',
        `build context ${dir}: ${errnoOf(cause) === 'ENOENT' ? 'no such directory' : messageOf(cause)}`,
        { cause },
      );
    }
    return new BuildContext(root, await openIgnoreRules(root, kubefile));
  }

  /** The ignore file that hides `path`, or undefined when it is not hidden. */
  hiddenBy(path: string): string | undefined {
    if (path === '' || this.#rules === undefined) return undefined;
    return this.#rules.ignores(path) ? this.#rules.file : undefined;
  }

  /**
   * The entry a path names, links followed inside the context (a link to `/x` means `x` of the context). `path` stays as given:
   * a link named `current` is copied under that name.
   * @returns undefined when there is no such entry.
   * @throws SlipwayError E_COPY when the path or a link leaves the context, or links go in circles.
   */
  find(path: string): ContextEntry | undefined {
    const resolved = this.#resolve(path);
    if (resolved === undefined) return undefined;
    return { path, file: this.#file(resolved.join('/')), stats: lstatSync(fsPath(this.#file(resolved.join('/')))) };
  }

  /**
   * As {@link find}, for a name that a wildcard matched: a link that leads nowhere in the context is the entry itself. It was not
   * named, so it is copied as the link it is rather than lost or refused.
   */
  findMatch(path: string): ContextEntry | undefined {
    try {
      const found = this.find(path);
      if (found !== undefined) return found;
    } catch (error) {
      if (!isSlipwayError(error, 'E_COPY')) throw error;
    }
    const parent = this.#resolve(parentOf(path));
    if (parent === undefined) return undefined;
    const file = this.#file([...parent, nameOf(path)].join('/'));
    const stats = lstatSync(fsPath(file), { throwIfNoEntry: false });
    return stats === undefined ? undefined : { path, file, stats };
  }

  /** The names directly inside a directory, hidden ones too, sorted; for suggestions and wildcards. */
  names(dir: string): string[] {
    const resolved = this.#resolve(dir);
    return resolved === undefined ? [] : readNames(this.#file(resolved.join('/')));
  }

  /**
   * Everything below a directory that is not hidden, sorted, parents first. Links stay links.
   * @param dir as `find` takes it. @returns entries whose `path` begins with `dir`.
   */
  *walk(dir: string): Generator<ContextEntry> {
    const resolved = this.#resolve(dir);
    if (resolved !== undefined) yield* this.#walk(dir, resolved.join('/'));
  }

  *#walk(shown: string, real: string): Generator<ContextEntry> {
    for (const name of readNames(this.#file(real))) {
      const path = shown === '' ? name : `${shown}/${name}`;
      const inside = real === '' ? name : `${real}/${name}`;
      const file = this.#file(inside);
      const stats = lstatSync(fsPath(file), { throwIfNoEntry: false });
      if (stats === undefined) throw new SlipwayError('E_FILE_CHANGED', `${file} vanished while the context was read`);
      const hidden = this.hiddenBy(inside) !== undefined;
      if (!stats.isDirectory()) {
        if (!hidden) yield { path, file, stats };
      } else if (!hidden) {
        yield { path, file, stats };
        yield* this.#walk(path, inside);
      } else if (this.#rules?.mayExceptBelow(inside)) {
        // Hidden itself, but something in it may be excepted: it is then there as a parent.
        const below = this.#walk(path, inside);
        const first = below.next();
        if (first.done === true) continue;
        yield { path, file, stats };
        yield first.value;
        yield* below;
      }
    }
  }

  #file(path: string): string {
    return path === '' ? this.root : `${this.root}/${path}`;
  }

  #resolve(path: string): string[] | undefined {
    const pending = path.split('/');
    const done: string[] = [];
    let links = 0;
    while (pending.length > 0) {
      const part = pending.shift() as string;
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (done.length === 0)
          throw new SlipwayError('E_COPY', `${path} leaves the build context ${this.root}`, {
            hint: 'only what is in the context can be copied',
          });
        done.pop();
        continue;
      }
      const file = this.#file([...done, part].join('/'));
      const stats = lstatSync(fsPath(file), { throwIfNoEntry: false });
      if (stats === undefined) return undefined;
      if (!stats.isSymbolicLink()) {
        if (!stats.isDirectory() && pending.some((rest) => rest !== '' && rest !== '.')) return undefined;
        done.push(part);
        continue;
      }
      if (++links > MOST_LINKS)
        throw new SlipwayError('E_COPY', `${path}: too many symbolic links, or a circle of them`);
      const target = pathFromBytes(readlinkSync(fsPath(file), { encoding: 'buffer' }));
      if (target.startsWith('/')) done.length = 0;
      pending.unshift(...target.split('/'));
    }
    return done;
  }
}

function readNames(dir: string): string[] {
  return readdirSync(fsPath(dir), { encoding: 'buffer' }).map(pathFromBytes).sort(comparePaths);
}
