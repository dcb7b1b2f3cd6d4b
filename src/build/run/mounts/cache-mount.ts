import { execFile } from 'node:child_process';
import { chmod, chown } from 'node:fs/promises';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import { SlipwayError } from '../../../base/errors.js';
import { possibleOwners } from '../../../base/id-map.js';
import { digestOf } from '../../../image/digest.js';
import type { CacheMount } from '../../../kubefile-parser/mount-types.js';
import { useCacheMount } from '../../../store/cache-mounts.js';
import type { BuildJob } from '../../job.js';
import type { ExpandWord } from '../../variables/expand.js';
import type { PlannedMount } from './planned-mount.js';
import { type StageSourcePlace, stageSource } from './stage-mount.js';

/**
 * `--mount=type=cache`: a directory of the store that outlives the build. Its name is a hash of the id, of what it began with, and of who can own
 * the files in it.
 * @throws SlipwayError E_USAGE, and what looking at the seed throws
 */
export async function planCacheMount(job: BuildJob, mount: CacheMount, expand: ExpandWord): Promise<PlannedMount> {
  const { sharing, readOnly, mode = 0o755, uid = 0, gid = 0, from } = mount;
  const target = expand(mount.target);
  const id = mount.id === undefined ? posix.normalize(target) : expand(mount.id);
  const seedPath = mount.source === undefined ? '/' : expand(mount.source);
  if (mount.source !== undefined && from === undefined)
    throw new SlipwayError('E_USAGE', `a cache mount on ${target} has source=${seedPath} and no from=`, {
      hint: 'name the stage or image that the new cache begins with: from=NAME',
    });
  const seed = from === undefined ? undefined : await stageSource(job, from, seedPath);
  if (seed?.isDirectory === false)
    throw new SlipwayError('E_USAGE', `a cache mount on ${target} cannot begin with ${seedPath}: it is no directory`);
  const key = digestOf(JSON.stringify(['cache mount', id, seed?.digest, possibleOwners()]));
  return {
    key: ['cache', id, target, sharing, readOnly, mode, uid, gid, seed?.digest],
    cache: key,
    sharing,
    async make(use) {
      const source = await use.once(key, async () => {
        const { dir, release } = await useCacheMount(job.store, {
          key,
          sharing,
          signal: job.signal,
          onWait: () => job.reporter.info(`waiting for the cache mount ${id}, which another command uses`),
          fill: async (fresh) => {
            if (seed !== undefined) await fillFrom(seed, fresh, use);
            await chown(fresh, uid, gid);
            await chmod(fresh, mode);
          },
        });
        use.afterwards(release);
        return dir;
      });
      return { type: 'bind', source, target, readonly: readOnly };
    },
  };
}

async function fillFrom(seed: StageSourcePlace, dir: string, use: Parameters<PlannedMount['make']>[0]): Promise<void> {
  const source = await seed.show(use);
  try {
    await promisify(execFile)('cp', ['-a', '--reflink=auto', '--', `${source}/.`, dir]);
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim().split('\n').at(-1) : '';
    throw new SlipwayError(
      /no space left|quota exceeded/i.test(said ?? '') ? 'E_NO_SPACE' : 'E_MOUNT',
      `cannot fill a new cache mount: ${said}`,
      { cause },
    );
  }
}
