import { SlipwayError } from '../base/errors.js';
import { isLocalXattr, joinPath, nameOf, parentOf } from './layer-names.js';
import type { MergedTree } from './merge.js';
import { scanTree } from './scan.js';
import { comparePaths, type PackEntry } from './toc.js';
import { readXattrs, type Xattrs } from './xattrs.js';

/** `y` in base64. */
const YES = Buffer.from('y').toString('base64');
const OPAQUE = ['trusted.overlay.opaque', 'user.overlay.opaque'];
/** Attributes of files that overlayfs keeps in parts, with the rest in the layers below. */
const IN_PARTS = /^(?:trusted|user)\.overlay\.(?:redirect|metacopy)$/;

/** Something in the upper directory, and what is known about it. */
interface Found {
  readonly entry: PackEntry;
  readonly xattrs: Xattrs | undefined;
  /** It, or a directory it is in, hides everything that the layers below have there. */
  readonly opaque: boolean;
}

/**
 * What a layer must hold to turn the tree `lower` into what an overlay with the upper directory `upperDir` showed: what is new or changed,
 * and whiteouts for what is gone, each directory's whiteouts before its other children. Nothing may be running in the overlay any more.
 *
 * - Devices 0/0 are whiteouts; those that hide nothing are left out. That they share an inode makes them no hard links.
 * - An opaque directory becomes explicit whiteouts of what `lower` has in it and the upper directory has not; so do the directories in it.
 * - A directory that is there only because something in it changed is kept, with its real attributes, as the parent of that; it is left
 *   out when nothing is left in it. One whose mode, owner or extended attributes changed stays.
 * - There is never an entry for the root, whose attributes are those of `upperDir` and nobody's intention.
 *
 * @throws SlipwayError E_UNSUPPORTED for sockets, and for files that overlayfs keeps in parts, which happens only in overlays that were
 * mounted with other options than ours; E_MISSING_PROGRAM without perl, which reads the extended attributes.
 */
export async function upperEntries(upperDir: string, lower: MergedTree): Promise<PackEntry[]> {
  const found = await readUpper(upperDir);
  const present = new Set(found.map(({ entry }) => entry.path));
  const layer: PackEntry[] = [];
  const parents = new Set<string>();
  // Backwards, so that everything in a directory has been seen before the directory itself.
  for (const item of found.reverse()) {
    const changes = changesOf(item, lower, present, parents.has(item.entry.path));
    if (changes.length === 0) continue;
    layer.push(...changes);
    parents.add(parentOf(item.entry.path));
  }
  return layer.sort((a, b) => comparePaths(orderOf(a), orderOf(b)));
}

async function readUpper(upperDir: string): Promise<Found[]> {
  const entries = await scanTree(upperDir, { overlay: true });
  const paths = entries.map(({ path }) => path);
  const attributes = await readXattrs(upperDir, paths, { local: true });
  const opaqueDirectories = new Set<string>();
  return entries.map((entry, index) => {
    const all = attributes[index] ?? {};
    const odd = Object.keys(all).find((name) => IN_PARTS.test(name));
    if (odd !== undefined) {
      throw new SlipwayError(
        'E_UNSUPPORTED',
        `cannot make a layer of ${upperDir}: ${entry.path} has the attribute ${odd}`,
        {
          hint: 'the overlay must be mounted with redirect_dir=off,metacopy=off',
        },
      );
    }
    const hidesBelow = opaqueDirectories.has(parentOf(entry.path)) || OPAQUE.some((name) => all[name] === YES);
    const opaque = entry.type === 'dir' && hidesBelow;
    if (opaque) opaqueDirectories.add(entry.path);
    const own = Object.entries(all).filter(([name]) => !isLocalXattr(name));
    return { entry, xattrs: own.length === 0 ? undefined : Object.fromEntries(own), opaque };
  });
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
  if (below !== undefined && hidden.length === 0 && !isParent && sameAttributes(changed, below.entry)) return [];
  return [changed, ...hidden.map((child) => whiteoutOf(child.entry.path))];
}

/** Directories' times change with what is in them; they are no change of their own. */
function sameAttributes(a: PackEntry, b: Omit<PackEntry, 'content'>): boolean {
  return (
    b.type === 'dir' &&
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
