import { SlipwayError } from '../../base/errors.js';
import type { PackEntry } from '../../layers/toc.js';
import { impossiblePath } from '../impossible-path.js';
import type { BuildJob } from '../job.js';
import { neutralTime } from '../times.js';
import type { WritableTree } from './writable-tree.js';

/**
 * The entries of the layer that a command made, independent of when it was run: what was written since it began has the neutral time; older
 * times, of unpacked archives say, stay.
 * @throws SlipwayError E_UNSUPPORTED for a path that no machine could unpack, this one included.
 */
export async function runEntries(
  job: Pick<BuildJob, 'epoch'>,
  { since, changes }: Pick<WritableTree, 'since' | 'changes'>,
): Promise<PackEntry[]> {
  const time = neutralTime(job);
  return (await changes()).map((entry) => {
    const why = impossiblePath(entry.path);
    if (why !== undefined)
      throw new SlipwayError('E_UNSUPPORTED', why, { hint: 'the command made it; let it remove it' });
    return entry.type !== 'whiteout' && entry.mtime >= since ? { ...entry, mtime: time } : entry;
  });
}
