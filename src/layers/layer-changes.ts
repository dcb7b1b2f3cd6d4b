import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { canOwn } from '../base/id-map.js';
import { sha256Digest } from '../image/digest.js';
import { joinPath, nameOf, parentOf } from './layer-names.js';
import type { MergedTree } from './merge.js';
import { fsPath } from './path-bytes.js';
import { comparePaths, type PackEntry } from './toc.js';
import type { Xattrs } from './xattrs.js';

/** Something that a command made, changed, or had to touch, and what is known about it. */
export interface Found {
  /** Of type `whiteout` for what is gone. */
  readonly entry: PackEntry;
  readonly xattrs: Xattrs | undefined;
  /** It, or a directory it is in, hides everything that the layers below have there. */
  readonly opaque: boolean;
  /** It is what the layers below have at its path, changed, and nothing new in that place. */
  readonly changed: boolean;
}

/**
 * What a layer must hold to turn the tree `lower` into what was found: what is new or changed, and whiteouts for what is gone, each
 * directory's whiteouts before its other children.
 *
 * - Whiteouts that hide nothing are left out.
 * - An opaque directory becomes explicit whiteouts of what `lower` has in it and was not found; so do the directories in it.
 * - A directory that is there only because something in it changed is kept, with its real attributes, as the parent of that; it is left
 *   out when nothing is left in it. One whose mode, owner or extended attributes changed stays.
 * - What is just as it is in `lower` is left out, content and time included: a file that was only opened for writing, say.
 * - Where this user cannot give files away, somebody else's file looks like root's; one that was only changed keeps its owner.
 * - There is never an entry for the root.
 *
 * @param found parents before children.
 */
export async function layerChanges(found: readonly Found[], lower: MergedTree): Promise<PackEntry[]> {
  const present = new Set(found.map(({ entry }) => entry.path));
  const linked = new Set(found.flatMap(({ entry }) => (entry.type === 'hardlink' ? [entry.linkTarget] : [])));
  const owners = lostOwners(found, lower);
  const several = once(() => new Set(linkTargets(lower)));
  const layer: PackEntry[] = [];
  const parents = new Set<string>();
  // Backwards, so that everything in a directory has been seen before the directory itself.
  for (const seen of [...found].reverse()) {
    const item = { ...seen, entry: withOwner(seen.entry, owners) };
    const { path } = item.entry;
    if (!linked.has(path) && (await isUnchanged(item, lower)) && !several().has(path)) continue;
    const changes = changesOf(item, lower, present, parents.has(path));
    if (changes.length === 0) continue;
    layer.push(...changes);
    parents.add(parentOf(path));
  }
  return layer.sort((a, b) => comparePaths(orderOf(a), orderOf(b)));
}

/** The entries that the layer needs because of one thing in the upper directory. */
function changesOf(
  { entry, xattrs, opaque }: Found,
  lower: MergedTree,
  present: ReadonlySet<string>,
  isParent: boolean,
): PackEntry[] {
  const { path, type } = entry;
  if (type === 'whiteout') return lower.get(path) === undefined ? [] : [whiteoutOf(path)];
  const changed = xattrs === undefined || type === 'hardlink' ? entry : { ...entry, xattrs };
  if (type !== 'dir') return [changed];
  const hidden = opaque ? lower.children(path).filter((child) => !present.has(child.entry.path)) : [];
  const below = lower.get(path);
  if (below?.entry.type === 'dir' && hidden.length === 0 && !isParent && sameAttributes(changed, below.entry))
    return [];
  return [changed, ...hidden.map((child) => whiteoutOf(child.entry.path))];
}

/** Files of `lower` that have other names too: one that was copied up is no longer the same file as those. */
function* linkTargets(lower: MergedTree): Generator<string> {
  for (const { entry } of lower.entries())
    if (entry.type === 'hardlink' && entry.linkTarget !== undefined) yield entry.linkTarget;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The owners that files of several or one name had, where nobody here can be that owner; by the name that is the file. */
function lostOwners(found: readonly Found[], lower: MergedTree): ReadonlyMap<string, Owner> {
  const owners = new Map<string, Owner>();
  for (const { entry, changed } of found) {
    const below = changed ? lower.get(entry.path)?.entry : undefined;
    const type = below?.type === 'hardlink' ? 'file' : below?.type;
    if (below === undefined || canOwn(below.uid, below.gid)) continue;
    if (type === (entry.type === 'hardlink' ? 'file' : entry.type)) owners.set(nameOfFile(entry), below);
  }
  return owners;
}

function withOwner(entry: PackEntry, owners: ReadonlyMap<string, Owner>): PackEntry {
  const owner = entry.uid === 0 && entry.gid === 0 ? owners.get(nameOfFile(entry)) : undefined;
  return owner === undefined ? entry : { ...entry, uid: owner.uid, gid: owner.gid };
}

/** Of several names of a file the one that is not a link to another. */
function nameOfFile({ type, path, linkTarget }: PackEntry): string {
  return type === 'hardlink' ? (linkTarget ?? path) : path;
}

async function isUnchanged({ entry, xattrs }: Found, lower: MergedTree): Promise<boolean> {
  const below = lower.get(entry.path)?.entry;
  if (below === undefined || below.type !== entry.type || entry.mtime !== below.mtime) return false;
  if (!sameAttributes({ ...entry, ...(xattrs === undefined ? {} : { xattrs }) }, below)) return false;
  if (entry.type === 'symlink') return entry.linkTarget === below.linkTarget;
  if (entry.type !== 'file' || entry.size !== below.size || below.digest === undefined) return false;
  return (
    entry.content !== undefined && 'file' in entry.content && (await digestOf(entry.content.file)) === below.digest
  );
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(fsPath(file), { highWaterMark: 1024 * 1024 }))
    hash.update(piece as Buffer);
  return sha256Digest(hash.digest('hex'));
}

/** Mode, owner and extended attributes. Directories' times change with what is in them; they are no change of their own. */
function sameAttributes(a: PackEntry, b: Omit<PackEntry, 'content'>): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    JSON.stringify(sorted(a.xattrs)) === JSON.stringify(sorted(b.xattrs))
  );
}

function sorted(xattrs: Xattrs = {}): [string, string][] {
  return Object.entries(xattrs).sort(([a], [b]) => comparePaths(a, b));
}

/** Nothing of a whiteout but its name means anything, so nothing else varies. */
function whiteoutOf(path: string): PackEntry {
  return { path, type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 };
}

/** Whiteouts come right after their directory: no name begins with a NUL. */
function orderOf({ path, type }: PackEntry): string {
  if (type !== 'whiteout') return path;
  const dir = parentOf(path);
  return joinPath(dir, `\0${nameOf(path)}`);
}
