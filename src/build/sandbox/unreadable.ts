import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { posix } from 'node:path';

/** How deep is looked below a directory of the machine: all of /etc, and the first levels of where services keep their state. */
const DEPTHS: Readonly<Record<string, number>> = { '/etc': 16, '/var': 4 };
const DEPTH_ELSEWHERE = 2;
/** Programs and libraries: nothing in them is a secret, and there are very many. */
const PUBLIC = new Set(['/usr', '/lib', '/lib32', '/lib64', '/libx32', '/bin', '/sbin']);
/** Entries that are looked at, so that a machine full of small files does not make every RUN slow. */
const MOST = 50_000;

/**
 * What others than its owner and group cannot read: password hashes, host keys, the state of services. A command in host isolation runs
 * as root where root builds, and must not carry that into an image.
 * @param top directories of the machine, such as `/etc`; links are not followed.
 * @param skip directories that the command does not see anyway.
 */
export function unreadableByOthers(
  top: readonly string[],
  skip: readonly string[],
): { readonly files: readonly string[]; readonly directories: readonly string[] } {
  const files: string[] = [];
  const directories: string[] = [];
  let left = MOST;
  const visit = (path: string, depth: number): void => {
    if (left-- <= 0 || skip.includes(path)) return;
    const stats = lstatQuietly(path);
    if (stats?.isFile() && (stats.mode & 0o004) === 0) files.push(path);
    if (stats?.isDirectory() !== true) return;
    if ((stats.mode & 0o005) !== 0o005) directories.push(path);
    else if (depth > 0) for (const name of namesQuietly(path)) visit(posix.join(path, name), depth - 1);
  };
  for (const path of top) if (!PUBLIC.has(path)) visit(path, DEPTHS[path] ?? DEPTH_ELSEWHERE);
  return { files, directories };
}

function lstatQuietly(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

function namesQuietly(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
