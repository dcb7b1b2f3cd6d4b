import type { EntryType } from './toc.js';

/** Names with a meaning in a layer (OCI image-spec, layer.md#whiteouts). */
const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** AUFS kept its own bookkeeping under this prefix; nothing of it belongs to the file system. */
const AUFS_META = '.wh..wh.';

/** The directory part of a layer path: `''` for a name at the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

/** The last component of a layer path. */
export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** `dir/name`, where the root is `''`. */
export function joinPath(dir: string, name: string): string {
  return dir === '' ? name : `${dir}/${name}`;
}

/** The name in the tar that hides `path`: `a/b` → `a/.wh.b`. */
export function whiteoutName(path: string): string {
  return joinPath(parentOf(path), WHITEOUT + nameOf(path));
}

/** The name in the tar that makes the directory `path` opaque. */
export function opaqueName(path: string): string {
  return joinPath(path, OPAQUE);
}

/** True for names that mean something else than themselves in a layer, so that no real file can have them. */
export function isReservedName(name: string): boolean {
  return name.startsWith(WHITEOUT);
}

export type SpecialName =
  | { readonly type: 'whiteout' | 'opaque'; readonly path: string }
  | { readonly type: 'ignored' }
  | { readonly type: 'invalid' };

/**
 * What a tar name stands for, or undefined when it is an ordinary one. `invalid`: a whiteout of nothing, `.` or `..`, or something inside
 * a whiteout.
 */
export function specialName(path: string): SpecialName | undefined {
  if (!path.includes(WHITEOUT)) return undefined;
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  if (parts.some((part) => part.startsWith(AUFS_META))) return { type: 'ignored' };
  if (parts.some((part) => part.startsWith(WHITEOUT))) return { type: 'invalid' };
  if (!name.startsWith(WHITEOUT)) return undefined;
  const dir = parts.join('/');
  if (name === OPAQUE) return { type: 'opaque', path: dir };
  if (name.startsWith(AUFS_META)) return { type: 'ignored' };
  const hidden = name.slice(WHITEOUT.length);
  if (hidden === '' || hidden === '.' || hidden === '..') return { type: 'invalid' };
  return { type: 'whiteout', path: joinPath(dir, hidden) };
}

/** Extended attributes that describe this machine's overlay or policy and never travel in a layer. */
export function isLocalXattr(name: string): boolean {
  return name.startsWith('trusted.overlay.') || name.startsWith('user.overlay.') || name === 'security.selinux';
}

/** Whether Linux takes an attribute of this name for something of this type (xattr(7)): no other can have come from a file. */
export function isPossibleXattr(name: string, type: EntryType): boolean {
  if (name.startsWith('user.')) return name !== 'user.' && ['file', 'dir', 'hardlink'].includes(type);
  return /^(?:trusted|security|system)\../s.test(name);
}
