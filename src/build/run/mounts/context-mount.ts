import { constants } from 'node:fs';
import { chmod, copyFile, lstat, lutimes, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemError, SlipwayError } from '../../../base/errors.js';
import { type Digest, digestOf } from '../../../image/digest.js';
import { makeNode } from '../../../layers/make-node.js';
import { fsPath } from '../../../layers/path-bytes.js';
import type { SourceEntry } from '../../copy/source-tree.js';
import type { BuildJob } from '../../job.js';
import { neutralTime } from '../../times.js';

/** A file or directory of the build context as a command shall find it: without what the ignore file hides. */
export interface ContextSource {
  /** Over names, types, modes, sizes, link targets and contents; not owners and times, which the command does not see. */
  readonly digest: Digest;
  /** Copies it to a path where nothing is. */
  readonly copyTo: (path: string) => Promise<void>;
}

/** What a command can find; sockets and devices of this machine are none of its business. */
const KEPT: readonly SourceEntry['type'][] = ['file', 'dir', 'symlink', 'fifo'];

/**
 * Looks at what a bind mount names in the build context.
 * @param source relative to the context, links followed inside it
 * @throws SlipwayError E_NOT_FOUND when there is no such thing or it is hidden, E_COPY when it leaves the context, E_UNSUPPORTED
 */
export async function contextSource(job: BuildJob, source: string): Promise<ContextSource> {
  const { context } = job;
  const path = source
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  const found = context.find(path);
  // The mode of the context itself depends on who made it; a command of any user may look into it.
  const top = found?.path === '' ? { ...found, mode: 0o755 } : found;
  const below = top?.type === 'dir' ? [...context.walk(path)].filter(({ type }) => KEPT.includes(type)) : [];
  const hidden = top?.hiddenBy;
  if (top === undefined || (hidden !== undefined && below.length === 0))
    throw new SlipwayError(
      'E_NOT_FOUND',
      `there is no ${JSON.stringify(source)} in the build context${hidden === undefined ? '' : `: ${hidden} hides it`}`,
      { hint: 'a bind mount without from= is taken from the build context' },
    );
  if (top.type !== 'dir' && top.type !== 'file')
    throw new SlipwayError('E_UNSUPPORTED', `cannot mount ${JSON.stringify(source)}: it is neither file nor directory`);
  const entries = [top, ...below];
  const rows: unknown[] = [];
  for (const entry of entries) rows.push(await rowOf(job, entry, nameBelow(path, entry)));
  return {
    digest: digestOf(JSON.stringify(rows)),
    copyTo: (target) => copyEntries(job, path, entries, target),
  };
}

function nameBelow(source: string, { path }: SourceEntry): string {
  return source === '' ? path : path.slice(source.length + 1);
}

async function rowOf({ digests }: BuildJob, entry: SourceEntry, name: string): Promise<unknown[]> {
  const { type, mode, size, linkTarget, content } = entry;
  const digest = content?.in === 'directory' ? await digests.digest(content.file, content.stats) : undefined;
  return [name, type, mode, size, linkTarget, digest];
}

/**
 * A copy and not the context itself: it shows neither hidden files nor owners and times of a checkout, and what the command writes to
 * it is thrown away. File systems that can share blocks do (FICLONE).
 */
async function copyEntries(
  job: BuildJob,
  source: string,
  entries: readonly SourceEntry[],
  target: string,
): Promise<void> {
  const time = neutralTime(job);
  const placeOf = (entry: SourceEntry): string => {
    const name = nameBelow(source, entry);
    return name === '' ? target : join(target, name);
  };
  try {
    for (const entry of entries) {
      job.signal.throwIfAborted();
      await copyEntry(entry, placeOf(entry));
    }
    // What is inside comes first: it changes the time of its directory, which may be closed to writing.
    for (const entry of [...entries].reverse()) {
      const place = fsPath(placeOf(entry));
      if (entry.type !== 'symlink') await chmod(place, entry.mode);
      await lutimes(place, time, time);
    }
  } catch (error) {
    throw fileSystemError(error, 'copying the build context for a mount');
  }
}

async function copyEntry({ type, linkTarget = '', content }: SourceEntry, place: string): Promise<void> {
  if (type === 'dir') return mkdir(fsPath(place), { mode: 0o700 });
  if (type === 'symlink') return symlink(fsPath(linkTarget), fsPath(place));
  if (type === 'fifo') return makeNode(place, 'fifo');
  if (content?.in !== 'directory') return;
  const { file, stats } = content;
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
