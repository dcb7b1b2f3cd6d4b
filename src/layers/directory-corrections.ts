import { joinPath, nameOf, parentOf } from './layer-names.js';
import { growingTree, type MergedTree } from './merge.js';
import { comparePaths, type LayerToc, type PackEntry, type TocEntry } from './toc.js';

type Layer = Pick<LayerToc, 'entries'>;

/** What overlayfs finds at a path when layers that were unpacked each into a directory of its own lie on top of each other. */
interface Seen {
  readonly directory: boolean;
  /** The topmost layer that has it. */
  layer: number;
  /** How many layers are merged in it. */
  layers: number;
  /** The topmost layer has an entry for it, not only for something inside. */
  named: boolean;
  /** A layer has an entry for it. */
  known: boolean;
  /** There are whiteouts directly in it. */
  whiteouts: boolean;
  readonly children: Map<string, Seen>;
}

/**
 * Where overlayfs would show directories otherwise than the layers mean: what puts it right, as one more layer on top of the others. Mostly
 * that is nothing.
 *
 * - A layer that changes something in a directory and has no entry for the directory itself leaves the attributes of that as they are. Unpacked
 *   alone it has a directory there all the same, which lies on top.
 * - A whiteout in a directory that is nowhere hides nothing. Unpacked, it brings the directory along.
 * - Of a directory that only one layer has, overlayfs lists all that is in it, whiteouts too, which nobody can open then: it looks for them only where
 *   directories are merged.
 *
 * @param layers their tables of contents, lowest first.
 * @returns directories and whiteouts in the order of a layer, with all parents.
 */
export function directoryCorrections(layers: readonly Layer[]): PackEntry[] {
  if (areSimple(layers)) return [];
  const root: Seen = { ...newSeen(true, -1), layers: 0 };
  for (const [index, { entries }] of layers.entries()) lay(root, entries, index);
  const tree = growingTree();
  for (const layer of layers) tree.add(layer);
  const corrections = new Map<string, PackEntry>();
  const add = (path: string): void => {
    const entry = tree.get(path)?.entry;
    if (entry === undefined) corrections.set(path, { ...NOTHING, path });
    else if (entry.type === 'dir') corrections.set(path, directoryLike(entry));
    if (path !== '' && !corrections.has(parentOf(path))) add(parentOf(path));
  };
  for (const path of wrongDirectories(root, tree)) add(path);
  return [...corrections.values()].sort((a, b) => comparePaths(a.path, b.path));
}

const NOTHING = { type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 } as const;

function directoryLike({ path, mode, uid, gid, mtime, xattrs }: TocEntry): PackEntry {
  return { path, type: 'dir', mode, uid, gid, size: 0, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
}

/** True for most images: their layers delete nothing, and have all parents of what they have. */
function areSimple(layers: readonly Layer[]): boolean {
  let roots = 0;
  for (const { entries } of layers) {
    const directories = new Set(['']);
    for (const { path, type } of entries) {
      if (type === 'whiteout' || type === 'opaque' || !directories.has(parentOf(path))) return false;
      if (type === 'dir') directories.add(path);
      if (path === '') roots++;
    }
  }
  return roots === 0 || roots === layers.length;
}

function newSeen(directory: boolean, layer: number): Seen {
  return { directory, layer, layers: 1, named: false, known: false, whiteouts: false, children: new Map() };
}

/** Lays one more layer on top, as overlayfs does when `OverlayMarks` has written its whiteouts. */
function lay(root: Seen, entries: readonly TocEntry[], layer: number): void {
  for (const { type, path } of entries) {
    if (type === 'whiteout') find(root, parentOf(path))?.children.delete(nameOf(path));
    else if (type === 'opaque') hideBelow(find(root, path));
  }
  visit(root, layer);
  for (const { type, path } of entries) {
    if (type === 'whiteout') continue;
    const isDirectory = type === 'dir' || type === 'opaque';
    const at = directoryAt(root, isDirectory ? path : parentOf(path), layer);
    if (type === 'dir' && at !== undefined) {
      at.named = true;
      at.known = true;
    } else if (!isDirectory) at?.children.set(nameOf(path), newSeen(false, layer));
  }
  for (const { type, path } of entries) {
    if (type !== 'whiteout' || find(root, path)?.layer === layer) continue;
    const parent = directoryAt(root, parentOf(path), layer);
    if (parent !== undefined) parent.whiteouts = true;
  }
}

/** Makes an opaque directory: it keeps its attributes, but from now on nothing is merged with what is below. */
function hideBelow(directory: Seen | undefined): void {
  if (directory === undefined) return;
  directory.children.clear();
  directory.layers = 0;
}

/** The directory that a layer has at `path`; undefined where it goes through something in the same layer that is none, such as a link. */
function directoryAt(root: Seen, path: string, layer: number): Seen | undefined {
  let here = root;
  visit(here, layer);
  for (const part of path === '' ? [] : path.split('/')) {
    let next = here.children.get(part);
    if (next?.directory === false && next.layer === layer) return undefined;
    if (next?.directory !== true) {
      next = newSeen(true, layer);
      here.children.set(part, next);
    }
    visit(next, layer);
    here = next;
  }
  return here;
}

function visit(directory: Seen, layer: number): void {
  if (directory.layer === layer) return;
  directory.layer = layer;
  directory.layers++;
  directory.named = false;
  directory.whiteouts = false;
}

function find(root: Seen, path: string): Seen | undefined {
  let here: Seen | undefined = root;
  for (const part of path === '' ? [] : path.split('/')) here = here?.children.get(part);
  return here;
}

function* wrongDirectories(root: Seen, tree: MergedTree): Generator<string> {
  const todo: [string, Seen][] = [['', root]];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [path, { directory, layers, named, known, whiteouts, children }] = next;
    if (!directory) continue;
    const isThere = tree.get(path) !== undefined;
    if (!isThere || (known && !named) || (whiteouts && layers === 1)) yield path;
    if (isThere) for (const [name, child] of children) todo.push([joinPath(path, name), child]);
  }
}
