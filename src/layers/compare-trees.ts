import type { MergedEntry, MergedTree } from './merge.js';
import { comparePaths, type EntryType } from './toc.js';

/** What counts of a path when two trees are compared: everything but times and the number of hard links. */
export interface FileFacts {
  /** Never `hardlink`: such a path is a file, with the content it shares. */
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for anything else. */
  readonly size: number;
  /** sha256 of a file's content. */
  readonly digest?: string;
  /** Of a symbolic link. */
  readonly linkTarget?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** `major:minor` of a device. */
  readonly device?: string;
}

export const ASPECTS = ['type', 'content', 'mode', 'owner', 'link', 'xattrs', 'device'] as const;
/** In what two files of one path differ. */
export type Aspect = (typeof ASPECTS)[number];

export type TreeChange =
  | { readonly path: string; readonly change: 'added'; readonly to: FileFacts }
  | { readonly path: string; readonly change: 'removed'; readonly from: FileFacts }
  | {
      readonly path: string;
      readonly change: 'changed';
      readonly from: FileFacts;
      readonly to: FileFacts;
      readonly aspects: readonly Aspect[];
    };

/** The facts of a path of a merged tree. */
export function factsOf({ entry, source }: MergedEntry): FileFacts {
  const { mode, uid, gid, linkTarget, xattrs, devMajor, devMinor } = entry;
  const file = source?.entry;
  const type = file === undefined ? entry.type : 'file';
  return {
    type,
    // The mode of a symbolic link means nothing on Linux.
    mode: type === 'symlink' ? 0o777 : mode,
    uid,
    gid,
    size: file?.size ?? 0,
    ...(file?.digest === undefined ? {} : { digest: file.digest }),
    ...(type === 'symlink' ? { linkTarget: linkTarget ?? '' } : {}),
    ...(xattrs === undefined || Object.keys(xattrs).length === 0 ? {} : { xattrs }),
    ...(type === 'char' || type === 'block' ? { device: `${devMajor ?? 0}:${devMinor ?? 0}` } : {}),
  };
}

/** In what two paths differ; empty when they are the same. */
export function differingAspects(a: FileFacts, b: FileFacts): Aspect[] {
  if (a.type !== b.type) return ['type'];
  const aspects: Aspect[] = [];
  if (a.size !== b.size || a.digest !== b.digest) aspects.push('content');
  if (a.mode !== b.mode) aspects.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) aspects.push('owner');
  if (a.linkTarget !== b.linkTarget) aspects.push('link');
  if (!sameMap(a.xattrs, b.xattrs)) aspects.push('xattrs');
  if (a.device !== b.device) aspects.push('device');
  return aspects;
}

/** Every path that differs, sorted; known from tables of contents alone. */
export function* compareTrees(a: MergedTree, b: MergedTree): Generator<TreeChange> {
  const left = a.entries()[Symbol.iterator]();
  const right = b.entries()[Symbol.iterator]();
  let from = left.next();
  let to = right.next();
  while (from.done !== true || to.done !== true) {
    const order =
      from.done === true ? 1 : to.done === true ? -1 : comparePaths(from.value.entry.path, to.value.entry.path);
    if (order < 0 && from.done !== true) {
      yield { path: from.value.entry.path, change: 'removed', from: factsOf(from.value) };
      from = left.next();
    } else if (order > 0 && to.done !== true) {
      yield { path: to.value.entry.path, change: 'added', to: factsOf(to.value) };
      to = right.next();
    } else if (from.done !== true && to.done !== true) {
      const [before, after] = [factsOf(from.value), factsOf(to.value)];
      const aspects = differingAspects(before, after);
      if (aspects.length > 0)
        yield { path: from.value.entry.path, change: 'changed', from: before, to: after, aspects };
      from = left.next();
      to = right.next();
    }
  }
}

function sameMap(a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}
