import { readFileSync } from 'node:fs';

/** Users or groups of this machine that files may be given to: ids `first` … `first + count - 1`. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

/** To whom files can be given. */
export interface OwnerRanges {
  readonly uid: readonly IdRange[];
  readonly gid: readonly IdRange[];
}

/** Of whom this process can make files: of everybody, of the ids of a user namespace, or of itself alone. */
export type Owners = 'all' | 'range' | 'single';

const EVERY_ID = 4_294_967_295;

const ROOT_ALONE: readonly IdRange[] = [{ first: 0, count: 1 }];

let known: OwnerRanges | undefined;

/** Of whom this process can make files (user_namespaces(7)). It never changes while a process lives. */
export function possibleOwners(): Owners {
  if (process.getuid?.() !== 0) return 'single';
  const { uid, gid } = ranges();
  const least = Math.min(total(uid), total(gid));
  return least >= EVERY_ID ? 'all' : least > 1 ? 'range' : 'single';
}

/** True when this process can give a file to this user and group. */
export function canOwn(uid: number, gid: number): boolean {
  return covered(ownerRanges(), uid, gid);
}

/** Whom this process can give files to. */
export function ownerRanges(): OwnerRanges {
  return possibleOwners() === 'single' ? { uid: ROOT_ALONE, gid: ROOT_ALONE } : ranges();
}

/** True when `ranges` have both the user and the group. */
export function covered(ranges: OwnerRanges, uid: number, gid: number): boolean {
  return covers(ranges.uid, uid) && covers(ranges.gid, gid);
}

function ranges(): OwnerRanges {
  known ??= { uid: readMap('/proc/self/uid_map'), gid: readMap('/proc/self/gid_map') };
  return known;
}

/** Lines of `inside outside count`. Without the file there are no user namespaces. */
function readMap(file: string): IdRange[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => line.trim().split(/\s+/).map(Number))
      .map(([first = 0, , count = 0]) => ({ first, count }));
  } catch {
    return [{ first: 0, count: EVERY_ID }];
  }
}

function total(list: readonly IdRange[]): number {
  return list.reduce((sum, { count }) => sum + count, 0);
}

function covers(list: readonly IdRange[], id: number): boolean {
  return list.some(({ first, count }) => id >= first && id < first + count);
}
