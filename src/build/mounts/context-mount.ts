import { constants, type Stats } from 'node:fs';
import { chmod, copyFile, lstat, lutimes, mkdir, readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemError, SlipwayError } from '../../base/errors.js';
import { type Digest, digestOf } from '../../image/digest.js';
import { makeNode } from '../../layers/make-node.js';
import { fsPath } from '../../layers/path-bytes.js';
import type { ContextEntry } from '../context.js';
import type { BuildJob } from '../job.js';
import { neutralTime } from '../times.js';

/** A file or directory of the build context as a command shall find it: without what the ignore file hides. */
export interface ContextSource {
  /** Over names, types, modes, sizes, link targets and contents; not owners and times, which the command does not see. */
  readonly digest: Digest;
  /** Copies it to a path where nothing is. */
  readonly copyTo: (path: string) => Promise<void>;
}

/** COPY takes them off too. */
const SETID = 0o6000;

/**
 * Looks at what a bind mount names in the build context.
 * @param source relative to the context, links followed inside it
 * @throws SlipwayError E_NOT_FOUND when there is no such thing or it is hidden, E_COPY when it leaves the context
 */
export async function contextSource(job: BuildJob, source: string): Promise<ContextSource> {
  const { context } = job;
  const path = source
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  const top = context.find(path);
  // A link that is not hidden must not show what is.
  const hidden = context.hiddenBy(path) ?? (top && context.hiddenBy(top.file.slice(context.root.length + 1)));
  const shown = top?.stats.isDirectory() === true && context.walk(path).next().done !== true;
  if (top === undefined || (hidden !== undefined && !shown))
    throw new SlipwayError(
      'E_NOT_FOUND',
      `there is no ${JSON.stringify(source)} in the build context${hidden === undefined ? '' : ` (${hidden} hides it)`}`,
    );
  const below = top.stats.isDirectory() ? [...context.walk(path)].filter(({ stats }) => isKept(stats)) : [];
  if (!isKept(top.stats))
    throw new SlipwayError('E_UNSUPPORTED', `cannot mount ${JSON.stringify(source)}: it is neither file nor directory`);
  const rows: unknown[] = [];
  for (const entry of [top, ...below]) rows.push(await rowOf(job, entry, nameBelow(path, entry)));
  return {
    digest: digestOf(JSON.stringify(rows)),
    copyTo: (target) => copyEntries(job, path, [top, ...below], target),
  };
}

/** Sockets and devices of this machine are none of the command's business. */
function isKept(stats: Stats): boolean {
  return stats.isFile() || stats.isDirectory() || stats.isSymbolicLink() || stats.isFIFO();
}

function nameBelow(source: string, { path }: ContextEntry): string {
  return source === '' ? path : path.slice(source.length + 1);
}

async function rowOf({ digests }: BuildJob, { file, stats }: ContextEntry, name: string): Promise<unknown[]> {
  const mode = stats.mode & 0o7777 & ~SETID;
  if (stats.isSymbolicLink()) return [name, 'link', (await readlink(fsPath(file), 'buffer')).toString('latin1')];
  if (stats.isFile()) return [name, 'file', mode, stats.size, await digests.digest(file, stats)];
  return [name, stats.isDirectory() ? 'dir' : 'fifo', mode];
}

/**
 * A copy and not the context itself: it shows neither hidden files nor owners and times of a checkout, and what the command writes to
 * it is thrown away. File systems that can share blocks do (FICLONE).
 */
async function copyEntries(
  job: BuildJob,
  source: string,
  entries: readonly ContextEntry[],
  target: string,
): Promise<void> {
  const time = neutralTime(job);
  const placeOf = (entry: ContextEntry): string => {
    const name = nameBelow(source, entry);
    return name === '' ? target : join(target, name);
  };
  const doing = `copying the build context for a mount`;
  try {
    for (const entry of entries) {
      job.signal.throwIfAborted();
      await copyEntry(entry, placeOf(entry));
    }
    // What is inside comes first: it changes the time of its directory, which may be closed to writing.
    for (const entry of [...entries].reverse()) {
      const place = fsPath(placeOf(entry));
      if (!entry.stats.isSymbolicLink()) await chmod(place, entry.stats.mode & 0o7777 & ~SETID);
      await lutimes(place, time, time);
    }
  } catch (error) {
    throw fileSystemError(error, doing);
  }
}

async function copyEntry({ file, stats }: ContextEntry, place: string): Promise<void> {
  if (stats.isDirectory()) return mkdir(fsPath(place), { mode: 0o700 });
  if (stats.isSymbolicLink()) return symlink(await readlink(fsPath(file), 'buffer'), fsPath(place));
  if (stats.isFIFO()) return makeNode(place, 'fifo');
  await copyFile(fsPath(file), fsPath(place), constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  const now = await lstat(fsPath(file));
  if (
    now.ino !== stats.ino ||
    now.size !== stats.size ||
    now.mtimeMs !== stats.mtimeMs ||
    now.ctimeMs !== stats.ctimeMs
  )
    throw new SlipwayError('E_FILE_CHANGED', `${file} changed while it was read for a mount`, {
      hint: 'build again when nothing writes to the context',
    });
}
