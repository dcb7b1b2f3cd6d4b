import { readFile } from 'node:fs/promises';

/** A line of a mount table. */
export interface MountEntry {
  readonly place: string;
  /** `overlay`, `fuse.fuse-overlayfs` … */
  readonly type: string;
  /** `major:minor`, the same in every namespace that sees this mount. */
  readonly device: string;
}

/**
 * What is mounted in the mount namespace of a process, in the order of mounting (proc(5), mountinfo).
 * @throws the error of the file system when the process is gone, or hidden.
 */
export async function mountTable(pid: number | 'self' = 'self'): Promise<MountEntry[]> {
  const table = await readFile(`/proc/${pid}/mountinfo`, 'utf8');
  return table.split('\n').flatMap((line) => {
    const [, , device, , place, ...rest] = line.split(' ');
    if (device === undefined || place === undefined) return [];
    // Any number of optional fields comes before the dash.
    return [{ place: unescaped(place), type: rest[rest.indexOf('-') + 1] ?? '', device }];
  });
}

/** Where something is mounted in this process's mount namespace, in the order of mounting. */
export async function mountPoints(): Promise<string[]> {
  return (await mountTable()).map(({ place }) => place);
}

/** The mount points at or below a directory, the last mounted first: the order in which they can be taken away. */
export async function mountPointsBelow(dir: string): Promise<string[]> {
  return (await mountPoints()).filter((place) => place === dir || place.startsWith(`${dir}/`)).reverse();
}

/** mountinfo writes spaces, tabs, newlines and backslashes in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
