import { type Aspect, differingAspects, factsOf } from '../../layers/compare-trees.js';
import { parentOf } from '../../layers/layer-names.js';
import { type GrowingTree, growingTree, type MergedEntry, type MergedTree, mergeTocs } from '../../layers/merge.js';
import { comparePaths, type LayerToc } from '../../layers/toc.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { Conflict } from './conflict.js';

/** The layers of one of the images, lowest first. */
export interface LayerSide {
  /** For messages. */
  readonly name: string;
  readonly layers: readonly StoredLayer[];
  readonly tocs: readonly LayerToc[];
}

/** A layer of the result, and where it comes from. */
export interface StackedLayer {
  readonly side: number;
  /** Its place in that image. */
  readonly index: number;
}

export interface Stack {
  readonly layers: readonly StackedLayer[];
  readonly tree: MergedTree;
  /** The merged tree of each image alone. */
  readonly trees: readonly MergedTree[];
  /** How many of its lowest layers each image shares with an earlier one: it was built from the same base. */
  readonly shared: readonly number[];
  readonly conflicts: readonly Conflict[];
}

/**
 * Lays the layers of images upon each other, the first image lowest; nothing is unpacked. An image that was built from the same base as an earlier one
 * brings only the layers above that base, and what it did not change itself stays as the earlier ones have it: a merge of three, as git does it. A layer
 * that is there already and would change nothing is not repeated.
 * @param mergedByRule paths that are made anew, so that a difference is no conflict.
 */
export function stackLayers(sides: readonly LayerSide[], mergedByRule: (path: string) => boolean): Stack {
  const tree = growingTree();
  const layers: StackedLayer[] = [];
  const conflicts: Conflict[] = [];
  const shared: number[] = [];
  const trees = sides.map(({ tocs }) => mergeTocs(tocs));
  const have = new Set<string>();
  for (const [number, side] of sides.entries()) {
    const prefix = Math.max(0, ...sides.slice(0, number).map((earlier) => commonLayers(earlier, side)));
    shared.push(prefix);
    const own = trees[number] ?? growingTree();
    const base = mergeTocs(side.tocs.slice(0, prefix));
    const ownerOf = (entry: MergedEntry | undefined): string =>
      sides[layers[entry?.layer ?? -1]?.side ?? 0]?.name ?? '';
    const before = new Map(number === 0 ? [] : Array.from(tree.entries(), (entry) => [entry.entry.path, entry]));
    for (const [index, toc] of side.tocs.entries()) {
      if (index < prefix || (have.has(toc.diffId) && changesNothing(tree, toc))) continue;
      tree.add(toc);
      layers.push({ side: number, index });
      have.add(toc.diffId);
    }
    const found = number === 0 ? [] : findConflicts({ tree, before, base, own, ownerOf, side });
    conflicts.push(...found.filter(({ subject }) => !mergedByRule(subject)).map(named));
  }
  return { layers, tree, trees, shared, conflicts };
}

function commonLayers(a: LayerSide, b: LayerSide): number {
  let count = 0;
  while (count < a.layers.length && count < b.layers.length && a.layers[count]?.diffId === b.layers[count]?.diffId)
    count++;
  return count;
}

/** True when every path of the layer is in the tree as the layer has it. */
function changesNothing(tree: GrowingTree, toc: LayerToc): boolean {
  const alone = mergeTocs([toc]);
  return toc.entries.every(({ path, type }) => {
    const [here, there] = [alone.get(path), tree.get(path)];
    if (type === 'whiteout' || type === 'opaque' || here === undefined || there === undefined) return false;
    return differingAspects(factsOf(here), factsOf(there)).length === 0;
  });
}

interface Comparison {
  /** What came of it. */
  readonly tree: MergedTree;
  /** What there was before the layers of this image were added. */
  readonly before: ReadonlyMap<string, MergedEntry>;
  /** What this image and an earlier one were both built from. */
  readonly base: MergedTree;
  /** This image. */
  readonly own: MergedTree;
  readonly ownerOf: (entry: MergedEntry | undefined) => string;
  readonly side: LayerSide;
}

/**
 * Paths that both sides have changed since their common base, and not to the same; and those that layers of this image change in passing, though the image
 * does not differ from its base there.
 */
function findConflicts({ tree, before, base, own, ownerOf, side }: Comparison): Conflict[] {
  const conflicts: Conflict[] = [];
  const told = new Set<string>();
  const mine = Array.from(own.entries(), ({ entry }) => entry.path);
  for (const path of [...new Set([...before.keys(), ...mine])].sort(comparePaths)) {
    const reason = reasonAt(base.get(path), before.get(path), own.get(path), tree.get(path));
    if (reason === undefined) continue;
    // What is in a directory that is gone, or that is none any more, needs no line of its own.
    if (!told.has(parentOf(path)))
      conflicts.push({ kind: 'file', subject: path, earlier: ownerOf(before.get(path)), later: side.name, reason });
    told.add(path);
  }
  return conflicts;
}

/** Why a path is disputed; undefined when it is not. */
function reasonAt(
  base: MergedEntry | undefined,
  theirs: MergedEntry | undefined,
  mine: MergedEntry | undefined,
  result: MergedEntry | undefined,
): string | undefined {
  const changed = !same(base, mine);
  if (changed && !same(base, theirs) && !same(mine, theirs) && !areDirectories(mine, theirs)) {
    if (theirs === undefined) return 'removed in the one, changed in the other';
    if (mine === undefined) return 'changed in the one, removed in the other';
    return reasonOf(differingAspects(factsOf(theirs), factsOf(mine)));
  }
  const wanted = changed ? mine : theirs;
  if (same(wanted, result) || areDirectories(wanted, result)) return undefined;
  if (result === undefined) return 'the layers of the other remove it';
  return wanted === undefined
    ? 'removed in the one, brought back by the other'
    : 'changed in the one, written again by the other';
}

function same(a: MergedEntry | undefined, b: MergedEntry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return differingAspects(factsOf(a), factsOf(b)).length === 0;
}

/** The attributes of directories are those of the last layer. */
function areDirectories(a: MergedEntry | undefined, b: MergedEntry | undefined): boolean {
  return a?.entry.type === 'dir' && b?.entry.type === 'dir';
}

function reasonOf(aspects: readonly Aspect[]): string {
  const words = { type: 'kind', link: 'link target', xattrs: 'extended attributes' };
  const names = aspects.map((aspect) => (aspect in words ? words[aspect as keyof typeof words] : aspect));
  return `different ${names.join(', ')}`;
}

/** A tag of the registry that stands for two manifests is a conflict of container images. */
function named(conflict: Conflict): Conflict {
  const [, repository, tag] =
    /^registry\/docker\/registry\/v2\/repositories\/(.+)\/_manifests\/tags\/([^/]+)\/current\/link$/.exec(
      conflict.subject,
    ) ?? [];
  return repository === undefined
    ? conflict
    : { ...conflict, kind: 'image', subject: `${repository}:${tag}`, reason: 'the same name for different images' };
}
