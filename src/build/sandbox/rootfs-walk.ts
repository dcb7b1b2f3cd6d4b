import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';

/** As many links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;

const OPEN_DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** An open directory of a rootfs. Names below it are reached through {@link childOf}, which no renamed parent can divert. */
export interface OpenDirectory {
  readonly name: string;
  readonly descriptor: number;
}

/** Where a path of a rootfs leads. */
export interface Arrival {
  /** From the root of the rootfs to the last directory that exists, all open; valid only during the visit. */
  readonly directories: readonly OpenDirectory[];
  /** The last component when it exists and is no directory. */
  readonly leaf?: { readonly name: string; readonly stats: Stats };
  /** The components that do not exist. */
  readonly missing: readonly string[];
}

/** The path of `name` in an open directory. The last component must not be followed by whoever uses it. */
export function childOf(directory: OpenDirectory, name: string): string {
  return `/proc/self/fd/${directory.descriptor}/${name}`;
}

/** The path of an arrival inside the rootfs, free of links, `.` and `..`. */
export function arrivalPath({ directories, leaf, missing }: Arrival): string {
  const names = [
    ...directories.slice(1).map(({ name }) => name),
    ...(leaf === undefined ? [] : [leaf.name]),
    ...missing,
  ];
  return `/${names.join('/')}`;
}

/**
 * Follows `path` inside a rootfs as a process rooted there would: an absolute link starts again at the root of the rootfs and
 * `..` does not leave it. Every step opens one component without following it, so nothing outside is ever touched, whatever
 * links a hostile image has (CVE-2024-23652).
 * @param links `follow`, or `refuse` for a path that is known to have had none
 * @throws SlipwayError E_MOUNT for a loop of links, a file in the middle of the path, or a refused link
 */
export function walkRootfs<T>(
  rootfs: string,
  path: string,
  visit: (arrival: Arrival) => T,
  links: 'follow' | 'refuse' = 'follow',
): T {
  const open: OpenDirectory[] = [];
  const wrong = (why: string): SlipwayError => new SlipwayError('E_MOUNT', `cannot use ${path} of the rootfs: ${why}`);
  try {
    open.push({ name: '', descriptor: openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY) });
    const queue = path.split('/');
    let followed = 0;
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (open.length > 1) close(open.pop());
        continue;
      }
      const here = open[open.length - 1] as OpenDirectory;
      const stats = lstatSync(childOf(here, name), { throwIfNoEntry: false });
      if (stats === undefined) {
        const missing = [name, ...queue].filter((part) => part !== '' && part !== '.');
        if (missing.includes('..')) throw wrong('".." after a directory that does not exist');
        return visit({ directories: open, missing });
      }
      if (stats.isSymbolicLink()) {
        if (links === 'refuse') throw wrong('it has become a link');
        if (++followed > MAX_LINKS) throw wrong('too many links');
        const target = readlinkSync(childOf(here, name));
        if (target.startsWith('/')) while (open.length > 1) close(open.pop());
        queue.unshift(...target.split('/'));
      } else if (stats.isDirectory()) {
        open.push({ name, descriptor: openSync(childOf(here, name), OPEN_DIRECTORY) });
      } else {
        if (queue.some((part) => part !== '')) throw wrong(`${name} is not a directory`);
        return visit({ directories: open, leaf: { name, stats }, missing: [] });
      }
    }
    return visit({ directories: open, missing: [] });
  } catch (error) {
    throw fileSystemError(error, `looking at ${path} of the rootfs ${rootfs}`);
  } finally {
    for (const directory of open) close(directory);
  }
}

/**
 * The text of a regular file of a rootfs, or undefined when there is none.
 * @param limit in bytes; more is an error, since such a file is none of those that are read so
 * @throws SlipwayError E_UNSUPPORTED when it is larger
 */
export function readRootfsFile(rootfs: string, path: string, limit: number): string | undefined {
  return walkRootfs(rootfs, path, ({ directories, leaf }) => {
    const parent = directories[directories.length - 1];
    if (leaf === undefined || parent === undefined || !leaf.stats.isFile()) return undefined;
    // O_NONBLOCK: a FIFO put in its place must not hold us.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    let descriptor: number;
    try {
      descriptor = openSync(childOf(parent, leaf.name), flags);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ELOOP') return undefined;
      throw error;
    }
    try {
      const { size } = fstatSync(descriptor);
      if (size > limit)
        throw new SlipwayError('E_UNSUPPORTED', `${path} of the rootfs has ${size} bytes, more than ${limit}`);
      const content = Buffer.alloc(size);
      return content.toString('utf8', 0, readSync(descriptor, content, 0, size, 0));
    } finally {
      closeSync(descriptor);
    }
  });
}

function close(directory: OpenDirectory | undefined): void {
  if (directory !== undefined) closeSync(directory.descriptor);
}
