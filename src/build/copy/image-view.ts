import { SlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { parentOf } from '../../layers/layer-names.js';
import type { MergedTree } from '../../layers/merge.js';
import type { PackEntry, TocEntry } from '../../layers/toc.js';
import type { SourceContent } from './source-tree.js';

const MOST_LINKS = 40;

/** An entry of a layer to be made: its content is named, not read. */
export interface PlannedEntry extends Omit<PackEntry, 'content'> {
  readonly content?: SourceContent;
  /** Of a file's content, when it is known without reading. */
  readonly digest?: Digest;
}

/** An entry on its way: files with the same `inode` become hard links to each other. */
export interface PlacedEntry extends PlannedEntry {
  readonly inode?: string;
}

/** The image as it will be: what is planned lies over what is there. */
export class ImageView {
  readonly #base: MergedTree;
  readonly #planned = new Map<string, { readonly entry: PlacedEntry; readonly turn: number }>();
  /** Directories that became something else: what they held before that turn is gone. */
  readonly #cleared = new Map<string, number>();
  #turn = 0;

  constructor(base: MergedTree) {
    this.#base = base;
  }

  /** What is at exactly this path, links not followed. */
  get(path: string): PlacedEntry | TocEntry | undefined {
    const planned = this.#planned.get(path);
    if (planned !== undefined && !this.#goneSince(path, planned.turn)) return planned.entry;
    if (this.#goneSince(path, 0) || this.#cleared.has(path)) return undefined;
    return this.#base.get(path)?.entry;
  }

  /**
   * The path that symbolic links lead to, in every component; never above the root. What does not exist is taken as it stands.
   * @throws SlipwayError E_COPY when links go in circles.
   */
  resolve(path: string): string {
    const todo = path.split('/').reverse();
    const names: string[] = [];
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        names.pop();
        continue;
      }
      const entry = this.get([...names, part].join('/'));
      if (entry?.type !== 'symlink') {
        names.push(part);
        continue;
      }
      if (++links > MOST_LINKS)
        throw new SlipwayError('E_COPY', `/${path} of the image: too many symbolic links, or a circle of them`);
      const target = entry.linkTarget ?? '';
      if (target.startsWith('/')) names.length = 0;
      todo.push(...target.split('/').reverse());
    }
    return names.join('/');
  }

  /**
   * Puts an entry at its path. What a directory held is gone when it becomes something else.
   * @param there what {@link get} says of the path, for those who know it.
   */
  place(entry: PlacedEntry, there = this.get(entry.path)): void {
    const { path, type } = entry;
    this.#turn++;
    if (type !== 'dir' && there?.type === 'dir') this.#cleared.set(path, this.#turn);
    this.#planned.set(path, { entry, turn: this.#turn });
  }

  /** What a layer must hold to make the image so, in no order: the entries, and marks that empty directories of the image. */
  entries(): PlacedEntry[] {
    const entries: PlacedEntry[] = [];
    for (const [path, { entry, turn }] of this.#planned) {
      if (this.#goneSince(path, turn)) continue;
      entries.push(entry);
      if (entry.type === 'dir' && this.#cleared.has(path) && this.#base.get(path)?.entry.type === 'dir') {
        const { mode, uid, gid, mtime } = entry;
        entries.push({ path, type: 'opaque', mode, uid, gid, size: 0, mtime });
      }
    }
    return entries;
  }

  /** True when a directory above has become something else after this turn. */
  #goneSince(path: string, turn: number): boolean {
    if (this.#cleared.size === 0) return false;
    for (let dir = parentOf(path); dir !== ''; dir = parentOf(dir)) {
      if ((this.#cleared.get(dir) ?? -1) > turn) return true;
    }
    return false;
  }
}
