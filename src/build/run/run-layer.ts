import type { PackEntry } from '../../layers/toc.js';
import type { BuildJob } from '../job.js';
import { neutralTime } from '../times.js';
import type { WritableTree } from './writable-tree.js';

/**
 * The entries of the layer that a command made, independent of when it was run: what was written since it began has the neutral time; older
 * times, of unpacked archives say, stay.
 */
export async function runEntries(
  job: Pick<BuildJob, 'epoch'>,
  { since, changes }: Pick<WritableTree, 'since' | 'changes'>,
): Promise<PackEntry[]> {
  const time = neutralTime(job);
  return (await changes()).map((entry) =>
    entry.type !== 'whiteout' && entry.mtime >= since ? { ...entry, mtime: time } : entry,
  );
}
