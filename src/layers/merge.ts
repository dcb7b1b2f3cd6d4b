import { SlipwayError } from '../base/errors.js';
import { joinPath, nameOf, parentOf } from './layer-names.js';
import { comparePaths, type LayerToc, type TocEntry } from './toc.js';

/** One path of the merged file system. */
export interface MergedEntry {
  readonly entry: TocEntry;
  /** The index of the layer that `entry` is in. */
  readonly layer: number;
  /**
   * Where the content of a file or hard link is: the entry of type `file` that carries it, and its layer. Of several paths that share
   * their content, the first one by {@link comparePaths} is shown as the file and the others as hard links to it, whatever the layers
   * said, so that the entries in their order can be packed again.
   */
  readonly source?: { readonly entry: TocEntry; readonly layer: number };
}

/** Where a path leads when symbolic links are followed inside the root. */
export interface ResolvedPath {
  /** The path without symbolic links in it. What is beyond the last existing directory is taken as it stands. */
  readonly path: string;
  /** What is there, never a symbolic link; undefined when nothing is. */
  readonly found?: MergedEntry;
}

/** The file system that several layers make together, known from their tables of contents alone. */
export interface MergedTree {
  /** Every path sorted by {@link comparePaths}; parents come before children. No whiteouts, no opaque marks. */
  entries(): Iterable<MergedEntry>;
  /** What is at exactly this path, symbolic links not followed. The root is `''`. */
  get(path: string): MergedEntry | undefined;
  /** What is directly in a directory, sorted by name; nothing when it is none. */
  children(dir: string): readonly MergedEntry[];
  /**
   * Follows symbolic links in every component, the last one too, never above the root.
   * @throws SlipwayError E_NOT_FOUND after 40 links: they go in a circle.
   */
  resolve(path: string): ResolvedPath;
}

const MAX_LINKS = 40;

interface Node {
  entry: TocEntry;
  layer: number;
  source: { readonly entry: TocEntry; readonly layer: number } | undefined;
  readonly children: Map<string, Node>;
}

/**
 * Lays layers upon each other, lowest first, as overlayfs does: a directory over a directory merges and has the attributes of the upper
 * one; anything else replaces what is below. Whiteouts and opaque marks hide what *lower* layers have, wherever in their layer they are
 * (OCI image-spec, layer.md#whiteouts); they never act through a symbolic link. Parents that no layer has an entry for are shown as
 * root's directories with mode 0755.
 */
export function mergeTocs(tocs: readonly LayerToc[]): MergedTree {
  const tree = growingTree();
  for (const toc of tocs) tree.add(toc);
  return tree;
}

/** A merged tree that layers are added to: what is asked for afterwards is answered with them. */
export interface GrowingTree extends MergedTree {
  /** Lays a layer on top. What it costs depends on that layer only. */
  add(layer: Pick<LayerToc, 'entries'>): void;
}

/** The tree of no layers, to {@link GrowingTree.add} to; the rules are those of {@link mergeTocs}. */
export function growingTree(): GrowingTree {
  return new Tree();
}

function newNode(entry: TocEntry, layer: number): Node {
  return { entry, layer, source: entry.type === 'file' ? { entry, layer } : undefined, children: new Map() };
}

function impliedDirectory(path: string): TocEntry {
  return { path, type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, offset: 0 };
}

function find(root: Node, path: string): Node | undefined {
  if (path === '') return root;
  let node: Node | undefined = root;
  for (const part of path.split('/')) {
    node = node.children.get(part);
    if (node === undefined) return undefined;
  }
  return node;
}

function hide(root: Node, { type, path }: TocEntry): void {
  if (type === 'whiteout') find(root, parentOf(path))?.children.delete(nameOf(path));
  else if (type === 'opaque') find(root, path)?.children.clear();
}

function place(root: Node, entry: TocEntry, layer: number): void {
  const { type, path } = entry;
  if (type === 'whiteout' || type === 'opaque') return;
  if (path === '') {
    root.entry = entry;
    root.layer = layer;
    return;
  }
  const parent = directoryAt(root, parentOf(path), layer);
  const name = nameOf(path);
  const there = parent.children.get(name);
  if (type === 'dir' && there?.entry.type === 'dir') {
    there.entry = entry;
    there.layer = layer;
    return;
  }
  parent.children.set(name, type === 'hardlink' ? linkedNode(root, entry, layer) : newNode(entry, layer));
}

/** A hard link to a file shares its content; one to anything else is another such thing. */
function linkedNode(root: Node, entry: TocEntry, layer: number): Node {
  const target = find(root, entry.linkTarget ?? '');
  if (target === undefined || target.entry.type === 'dir') {
    const what = `${JSON.stringify(entry.path)} is a hard link to ${JSON.stringify(entry.linkTarget)}`;
    throw new SlipwayError('E_BAD_ARCHIVE', `layer ${layer + 1} is malformed: ${what}, which is no file`);
  }
  if (target.source === undefined) return newNode({ ...target.entry, path: entry.path }, layer);
  return { entry, layer, source: target.source, children: new Map() };
}

/** The first path of each content that has several. */
function firstPaths(root: Node): Map<TocEntry, string> {
  const counts = new Map<TocEntry, { first: string; paths: number }>();
  for (const { entry, source } of allNodes(root)) {
    if (source === undefined) continue;
    const seen = counts.get(source.entry);
    if (seen === undefined) counts.set(source.entry, { first: entry.path, paths: 1 });
    else {
      seen.paths++;
      if (comparePaths(entry.path, seen.first) < 0) seen.first = entry.path;
    }
  }
  return new Map([...counts].filter(([, { paths }]) => paths > 1).map(([source, { first }]) => [source, first]));
}

function* allNodes(root: Node): Generator<Node> {
  const todo: Node[] = [root];
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    yield node;
    todo.push(...node.children.values());
  }
}

/** The directory at `path`; what is missing, or in the way and no directory, becomes one. */
function directoryAt(root: Node, path: string, layer: number): Node {
  let node = root;
  if (path === '') return node;
  let at = '';
  for (const part of path.split('/')) {
    at = joinPath(at, part);
    let next = node.children.get(part);
    if (next?.entry.type !== 'dir') {
      next = newNode(impliedDirectory(at), layer);
      node.children.set(part, next);
    }
    node = next;
  }
  return node;
}

class Tree implements GrowingTree {
  readonly #root = newNode(impliedDirectory(''), 0);
  #layers = 0;
  #linked = false;
  /** Both are made when they are first asked for. */
  #firstPaths: ReadonlyMap<TocEntry, string> | undefined;
  #sorted: readonly MergedEntry[] | undefined;

  add({ entries }: Pick<LayerToc, 'entries'>): void {
    const layer = this.#layers++;
    this.#firstPaths = undefined;
    this.#sorted = undefined;
    for (const entry of entries) hide(this.#root, entry);
    for (const entry of entries) {
      place(this.#root, entry, layer);
      this.#linked ||= entry.type === 'hardlink';
    }
  }

  entries(): Iterable<MergedEntry> {
    this.#sorted ??= Array.from(allNodes(this.#root), (node) => this.#show(node)).sort(byPath);
    return this.#sorted;
  }

  get(path: string): MergedEntry | undefined {
    const node = find(this.#root, path);
    return node === undefined ? undefined : this.#show(node);
  }

  children(dir: string): readonly MergedEntry[] {
    const children = [...(find(this.#root, dir)?.children.values() ?? [])];
    return children.map((node) => this.#show(node)).sort(byPath);
  }

  resolve(path: string): ResolvedPath {
    const todo = path.split('/').reverse();
    const done: Node[] = [this.#root];
    const names: string[] = [];
    let links = 0;
    for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        names.pop();
        if (done.length > names.length + 1) done.length = names.length + 1;
        continue;
      }
      const here = done.length === names.length + 1 ? done.at(-1) : undefined;
      const next = here?.children.get(part);
      if (next?.entry.type === 'symlink') {
        if (++links > MAX_LINKS) {
          throw new SlipwayError('E_NOT_FOUND', `cannot find ${path} in the image: too many levels of symbolic links`);
        }
        const target = next.entry.linkTarget ?? '';
        if (target.startsWith('/')) {
          names.length = 0;
          done.length = 1;
        }
        todo.push(...target.split('/').reverse());
        continue;
      }
      names.push(part);
      if (next !== undefined) done.push(next);
    }
    const node = done.length === names.length + 1 ? done.at(-1) : undefined;
    return { path: names.join('/'), ...(node === undefined ? {} : { found: this.#show(node) }) };
  }

  #show({ entry, layer, source }: Node): MergedEntry {
    if (source === undefined) return { entry, layer };
    const { path } = entry;
    if (this.#linked) this.#firstPaths ??= firstPaths(this.#root);
    const first = this.#firstPaths?.get(source.entry) ?? path;
    const { size: _size, digest: _digest, ...facts } = source.entry;
    if (first !== path)
      return { entry: { ...facts, path, type: 'hardlink', size: 0, linkTarget: first }, layer, source };
    return { entry: entry === source.entry ? entry : { ...source.entry, path }, layer, source };
  }
}

function byPath(a: MergedEntry, b: MergedEntry): number {
  return comparePaths(a.entry.path, b.entry.path);
}
