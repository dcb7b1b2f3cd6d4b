import { rm } from 'node:fs/promises';
import type { Digest } from '../../image/digest.js';
import type { FileStamp } from '../../layers/read-unchanged.js';
import type { Pick } from '../copy/pick.js';
import type { BuildJob } from '../job.js';
import { type ArchiveCompression, archiveCompression } from './archive-stream.js';
import type { ArchivePick } from './place-archive.js';
import { readArchive } from './read-archive.js';

/** A file of the context that is an archive. */
export interface ArchiveFile {
  readonly file: string;
  readonly stats: FileStamp;
  readonly compression: ArchiveCompression;
}

/** The archives among what was picked from the context, by their paths. What is inside a directory is never unpacked. */
export async function findArchives(
  { context }: BuildJob,
  picks: readonly Pick[],
): Promise<ReadonlyMap<string, ArchiveFile>> {
  const found = new Map<string, ArchiveFile>();
  for (const { tree, entry } of picks) {
    if (tree !== context || entry.content?.in !== 'directory') continue;
    const { file, stats } = entry.content;
    const compression = await archiveCompression(file, stats);
    if (compression !== undefined) found.set(entry.path, { file, stats, compression });
  }
  return found;
}

/** Reads archives and runs `work` while the contents of their members can be read. `digests` are those of the archives, in order. */
export async function withArchives<T>(
  job: BuildJob,
  archives: ReadonlyMap<string, ArchiveFile>,
  work: (read: { readonly picks: ReadonlyMap<string, ArchivePick>; readonly digests: readonly Digest[] }) => Promise<T>,
): Promise<T> {
  const picks = new Map<string, ArchivePick>();
  const digests: Digest[] = [];
  const spools: string[] = [];
  const devices = job.kubefile.directives.dialect === 'docker';
  try {
    for (const [what, { file, stats, compression }] of archives) {
      const spool = await job.store.temp.path('archive');
      spools.push(spool);
      const { members, digest } = await job.heavy(() =>
        readArchive({ file, stats, compression, what }, { devices, spool, signal: job.signal }),
      );
      picks.set(what, { members, what });
      digests.push(digest);
      job.digests.record(file, stats, digest);
    }
    return await work({ picks, digests });
  } finally {
    for (const spool of spools) await rm(spool, { force: true });
  }
}
