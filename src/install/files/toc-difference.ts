import { nameOf, parentOf } from '../../layers/layer-names.js';
import type { HostListing, ListedEntry } from './host-listing.js';
import type { HostToc } from './host-toc.js';
import { neededByPushed } from './pushed-content.js';
import type { WantedEntry, WantedFile } from './rootfs.js';

/** What is known of a host: what it was given, and what it has. */
export interface HostContent {
  readonly toc: HostToc;
  readonly listing: HostListing;
}

/** What must happen on a host so that it has what is wanted. */
export interface TocDifference {
  /** Entries that travel, sorted, parents first: files and links that are missing or different, and new directories. */
  readonly send: readonly WantedEntry[];
  /** Paths in the way of something of another type; with everything in them. */
  readonly clear: readonly string[];
  /** Files and links that were given to the host and are no longer wanted. */
  readonly remove: readonly string[];
  /** Directories no longer wanted, deepest first; they go when nothing is left in them. */
  readonly removeDirs: readonly string[];
  /** Directories whose mode or owner is wrong. */
  readonly adjust: readonly WantedEntry[];
  /** Bytes of files that travel. */
  readonly bytes: number;
}

/**
 * Files that look right from outside, but of which the host's list does not say that they are: their content must be asked for.
 * (The list was lost, or a transfer was cut off.)
 */
export function filesToVerify(wanted: readonly WantedEntry[], { toc, listing }: HostContent): readonly WantedFile[] {
  return wanted.filter(
    (entry): entry is WantedFile =>
      entry.type === 'file' && looksRight(entry, listing.get(entry.path)) && toc.get(entry.path) !== entry.digest,
  );
}

/**
 * Compares what a host should have with what it has. A file counts as right when size, time, mode and owner are, and the host's
 * list (or a verification, by `verified`) says that its content is. What the host has and was never given by us stays. Pure.
 */
export function tocDifference(
  wanted: readonly WantedEntry[],
  { toc, listing }: HostContent,
  verified: ReadonlySet<string> = new Set(),
): TocDifference {
  const send: WantedEntry[] = [];
  const clear: string[] = [];
  const adjust: WantedEntry[] = [];
  const paths = new Set<string>();
  let bytes = 0;
  for (const entry of wanted) {
    paths.add(entry.path);
    const there = listing.get(entry.path);
    if (entry.type === 'file') {
      const known = toc.get(entry.path) === entry.digest || verified.has(entry.path);
      if (known && looksRight(entry, there)) continue;
      bytes += entry.size;
    } else if (there !== undefined && sameKind(entry, there)) {
      if (!sameOwner(entry, there) || (entry.type === 'dir' && entry.mode !== there.mode)) adjust.push(entry);
      continue;
    }
    // rename(2) replaces a file by a file; anything else must be out of the way first
    if (there !== undefined && !(entry.type === 'file' && there.type === 'file')) clear.push(entry.path);
    send.push(entry);
  }
  const old = [...toc.keys()].filter((path) => !paths.has(path) && listing.has(path)).sort();
  const isDir = (path: string): boolean => listing.get(path)?.type === 'dir';
  const isNeeded = neededByPushed(listing, toc);
  return {
    send,
    clear,
    remove: old.filter((path) => !isDir(path) && !isNeeded(path)),
    removeDirs: old.filter(isDir).reverse(),
    adjust,
    bytes,
  };
}

/** Whether a host's list says exactly what is wanted. */
export function isListed(wanted: readonly WantedEntry[], toc: HostToc): boolean {
  return (
    toc.size === wanted.length &&
    wanted.every(
      (entry) => toc.has(entry.path) && toc.get(entry.path) === (entry.type === 'file' ? entry.digest : undefined),
    )
  );
}

/** Nothing to do. */
export function isSame({ send, clear, remove, removeDirs, adjust }: TocDifference): boolean {
  return send.length + clear.length + remove.length + removeDirs.length + adjust.length === 0;
}

/** How the things that travel get to their places: whole new directories are renamed at once, other entries into their directory. */
export interface Moves {
  /** Topmost directories that the host does not have; `''` is the rootfs itself. */
  readonly trees: readonly string[];
  /** By directory that the host has: names of what goes into it. */
  readonly intoDirs: ReadonlyMap<string, readonly string[]>;
}

/** Plans the moves for a difference. Pure. */
export function planMoves({ send, clear }: TocDifference, listing: HostListing): Moves {
  if (!listing.has('')) return { trees: send.length === 0 ? [] : [''], intoDirs: new Map() };
  const trees: string[] = [];
  const newDirs = new Set<string>();
  const cleared = new Set(clear);
  const intoDirs = new Map<string, string[]>();
  for (const { path, type } of send) {
    const parent = parentOf(path);
    const inNew = newDirs.has(parent);
    if (type === 'dir') newDirs.add(path);
    if (inNew) continue;
    if (type === 'dir' && (!listing.has(path) || cleared.has(path))) trees.push(path);
    else {
      const names = intoDirs.get(parent);
      if (names === undefined) intoDirs.set(parent, [nameOf(path)]);
      else names.push(nameOf(path));
    }
  }
  return { trees, intoDirs };
}

function looksRight(entry: WantedFile, there: ListedEntry | undefined): boolean {
  return (
    there?.type === 'file' &&
    there.size === entry.size &&
    there.mtime === entry.mtime &&
    there.mode === entry.mode &&
    sameOwner(entry, there)
  );
}

function sameKind(entry: WantedEntry, there: ListedEntry): boolean {
  if (entry.type === 'symlink') return there.type === 'symlink' && there.linkTarget === entry.linkTarget;
  return entry.type === there.type;
}

function sameOwner({ uid, gid }: WantedEntry, there: ListedEntry): boolean {
  return uid === there.uid && gid === there.gid;
}
