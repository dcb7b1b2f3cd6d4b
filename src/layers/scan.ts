import { lstatSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { joinPath } from './layer-names.js';
import { namesIn } from './names-in.js';
import { fsPath, pathFromBytes } from './path-bytes.js';
import { comparePaths, type EntryType, type PackEntry } from './toc.js';
import { readXattrs } from './xattrs.js';

export interface ScanOptions {
  /** Where the tree goes in the layer: put before every path. Default: the root. */
  readonly prefix?: string;
  /** Give an entry for `dir` itself too (at `prefix`, or the root `''`). Default false. */
  readonly includeRoot?: boolean;
  /** Character devices 0/0 are overlayfs's whiteouts. Default: they are refused. */
  readonly overlay?: boolean;
  /** Read extended attributes as well, which needs the program perl (one process for the whole tree). Default false. */
  readonly xattrs?: boolean;
  /** False leaves an entry out, and all that is in it. Paths are relative to `dir`, without the prefix. Sockets are asked about as files. */
  readonly filter?: (path: string, type: EntryType) => boolean;
  /** Leave sockets out without a word. Default: they are refused. */
  readonly skipSockets?: boolean;
  readonly signal?: AbortSignal;
}

/** After so many entries the event loop gets a turn: a signal or a timer must not wait for a big tree. */
const TURN = 2000;

/**
 * What is in the directory `dir`, as entries to be packed, sorted by {@link comparePaths}. Links are not followed. Of the names of one file
 * in the tree the first is the file and the others hard links to it. Modification times are rounded down to seconds.
 *
 * @throws SlipwayError E_UNSUPPORTED for a socket (a layer cannot hold one), naming it; E_NOT_FOUND when `dir` is no directory; E_PERMISSION;
 * E_FILE_CHANGED when something vanishes meanwhile.
 */
export async function scanTree(dir: string, options: ScanOptions = {}): Promise<PackEntry[]> {
  const { prefix = '', includeRoot = false, xattrs = false } = options;
  const found: Found[] = [];
  const root = rootOf(dir);
  if (includeRoot) found.push({ entry: entryOf('', 'dir', root, dir), several: false });
  for (const item of walk(dir, options)) {
    found.push(item);
    if (found.length % TURN === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      options.signal?.throwIfAborted();
    }
  }
  found.sort((a, b) => comparePaths(a.entry.path, b.entry.path));
  const linked = linkAll(dir, found);
  const dressed = xattrs ? await withXattrs(dir, linked) : linked;
  return prefix === '' ? dressed : dressed.map((entry) => prefixed(entry, prefix));
}

/** The entry of one name, its path relative to the tree. What lstat gave is not kept: it is far bigger. */
interface Found {
  readonly entry: PackEntry;
  /** It is one of several names of the same file. */
  readonly several: boolean;
}

function* walk(dir: string, { filter, overlay = false, skipSockets = false }: ScanOptions): Generator<Found> {
  const todo = [''];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const here = at === '' ? dir : `${dir}/${at}`;
    for (const name of listed(here)) {
      const path = joinPath(at, name);
      const file = `${here}/${name}`;
      const stats = statOf(file);
      const type = typeOf(stats, overlay);
      if (filter !== undefined && !filter(path, type ?? 'file')) continue;
      if (type === undefined && skipSockets && stats.isSocket()) continue;
      if (type === undefined) throw unsupported(stats, file);
      // Whiteouts share one device node, and that is no hard link.
      const several = stats.nlink > 1 && type !== 'dir' && type !== 'whiteout';
      yield { entry: entryOf(path, type, stats, file), several };
      if (type === 'dir') todo.push(path);
    }
  }
}

function rootOf(dir: string): Stats {
  const stats = statSync(fsPath(dir), { throwIfNoEntry: false });
  if (stats?.isDirectory() === true) return stats;
  throw new SlipwayError(
    'E_NOT_FOUND',
    `cannot read the directory ${dir}: ${stats === undefined ? 'it does not exist' : 'it is no directory'}`,
  );
}

function listed(dir: string): string[] {
  try {
    return namesIn(dir);
  } catch (error) {
    throw scanFailure(error, dir);
  }
}

function statOf(file: string): Stats {
  try {
    return lstatSync(fsPath(file));
  } catch (error) {
    throw scanFailure(error, file);
  }
}

function scanFailure(error: unknown, file: string): unknown {
  const errno = errnoOf(error);
  if (errno === 'ENOENT' || errno === 'ENOTDIR') {
    return new SlipwayError('E_FILE_CHANGED', `${file} vanished while its directory was being read`, { cause: error });
  }
  return fileSystemError(error, `reading ${file}`);
}

function typeOf(stats: Stats, overlay: boolean): EntryType | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isBlockDevice()) return 'block';
  if (stats.isCharacterDevice() && stats.rdev !== 0) return 'char';
  return stats.isCharacterDevice() && overlay ? 'whiteout' : undefined;
}

function unsupported(stats: Stats, file: string): SlipwayError {
  const what = stats.isSocket() ? 'a socket' : 'the device 0/0';
  return new SlipwayError('E_UNSUPPORTED', `cannot put ${file} into a layer: it is ${what}`, {
    hint: 'remove it or leave it out (.dockerignore)',
  });
}

function entryOf(path: string, type: EntryType, stats: Stats, file: string): PackEntry {
  const { uid, gid, mtimeMs } = stats;
  const mode = stats.mode & 0o7777;
  const mtime = Math.floor(mtimeMs / 1000);
  switch (type) {
    case 'file':
      return { path, type, mode, uid, gid, size: stats.size, mtime, content: { file, mtimeMs } };
    case 'symlink':
      return { path, type, mode, uid, gid, size: 0, mtime, linkTarget: linkTargetOf(file) };
    case 'char':
    case 'block':
      return { path, type, mode, uid, gid, size: 0, mtime, ...deviceNumbers(stats.rdev) };
    default:
      return { path, type, mode, uid, gid, size: 0, mtime };
  }
}

function linkTargetOf(file: string): string {
  try {
    const target = readlinkSync(fsPath(file));
    return target.includes('\ufffd') ? pathFromBytes(readlinkSync(fsPath(file), { encoding: 'buffer' })) : target;
  } catch (error) {
    throw scanFailure(error, file);
  }
}

/** Linux's makedev(3), backwards. */
function deviceNumbers(device: number): { devMajor: number; devMinor: number } {
  const number = BigInt(device);
  return {
    devMajor: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)),
    devMinor: Number((number & 0xffn) | ((number >> 12n) & 0xffffff00n)),
  };
}

/** Overlayfs makes inode numbers that a JavaScript number cannot hold exactly. */
function inodeOf(file: string): string {
  const { dev, ino } = lstatSync(fsPath(file), { bigint: true });
  return `${dev}:${ino}`;
}

/** Turns the second and later names of a file into hard links. */
function linkAll(dir: string, found: readonly Found[]): PackEntry[] {
  const firstNames = new Map<string, string>();
  return found.map(({ entry, several }) => {
    if (!several) return entry;
    const inode = inodeOf(`${dir}/${entry.path}`);
    const first = firstNames.get(inode);
    if (first === undefined) {
      firstNames.set(inode, entry.path);
      return entry;
    }
    const { path, mode, uid, gid, mtime } = entry;
    return { path, type: 'hardlink', mode, uid, gid, size: 0, mtime, linkTarget: first };
  });
}

/** Hard links have those of the file they name. */
async function withXattrs(dir: string, entries: readonly PackEntry[]): Promise<PackEntry[]> {
  const attributes = await readXattrs(
    dir,
    entries.map(({ path }) => path),
  );
  return entries.map((entry, index) => {
    const xattrs = attributes[index];
    return xattrs === undefined || entry.type === 'hardlink' ? entry : { ...entry, xattrs };
  });
}

function prefixed(entry: PackEntry, prefix: string): PackEntry {
  const path = entry.path === '' ? prefix : joinPath(prefix, entry.path);
  if (entry.type !== 'hardlink') return { ...entry, path };
  return { ...entry, path, linkTarget: joinPath(prefix, entry.linkTarget ?? '') };
}
