import { posix } from 'node:path';
import { SlipwayError } from '../../../base/errors.js';
import { canOwn } from '../../../base/id-map.js';
import type { BindMount, Mount, SecretMount } from '../../../kubefile-parser/mount-types.js';
import type { BuildJob } from '../../job.js';
import type { ExpandWord } from '../../variables/expand.js';
import { planCacheMount } from './cache-mount.js';
import { contextSource } from './context-mount.js';
import type { PlannedMount } from './planned-mount.js';
import { stageSource } from './stage-mount.js';

/**
 * Looks at the mounts of a RUN: what they name must be there.
 * @throws SlipwayError E_NOT_FOUND (source, required secret), E_USAGE, E_UNSUPPORTED (an owner this user cannot give files to)
 */
export async function planMounts(
  job: BuildJob,
  mounts: readonly Mount[],
  expand: ExpandWord,
): Promise<readonly PlannedMount[]> {
  const planned: PlannedMount[] = [];
  for (const mount of mounts) planned.push(await planMount(job, mount, expand));
  for (const { cache, sharing } of planned)
    if (cache !== undefined && planned.some((other) => other.cache === cache && other.sharing !== sharing))
      throw new SlipwayError('E_USAGE', 'two mounts of one cache differ in sharing=');
  return planned;
}

async function planMount(job: BuildJob, mount: Mount, expand: ExpandWord): Promise<PlannedMount> {
  if (mount.type === 'cache' || mount.type === 'secret') checkOwner(mount.uid ?? 0, mount.gid ?? 0);
  switch (mount.type) {
    case 'bind':
      return planBind(job, mount, expand);
    case 'cache':
      return planCacheMount(job, mount, expand);
    case 'secret':
      return planSecret(job, mount, expand);
    case 'tmpfs': {
      const { size } = mount;
      const target = expand(mount.target);
      return {
        key: ['tmpfs', target, size],
        make: async () => ({ type: 'tmpfs', target, ...(size === undefined ? {} : { sizeBytes: size }) }),
      };
    }
  }
}

async function planBind(job: BuildJob, mount: BindMount, expand: ExpandWord): Promise<PlannedMount> {
  const target = expand(mount.target);
  const source = mount.source === undefined ? '/' : expand(mount.source);
  const { from, readOnly } = mount;
  if (from !== undefined) {
    const place = await stageSource(job, from, source);
    return {
      key: ['bind', target, readOnly, place.digest],
      make: async (use) => ({ type: 'bind', source: await place.show(use), target, readonly: readOnly }),
    };
  }
  const { digest, copyTo } = await contextSource(job, source);
  return {
    key: ['bind', target, readOnly, digest],
    async make(use) {
      const copy = await use.newPlace();
      await copyTo(copy);
      return { type: 'bind', source: copy, target, readonly: readOnly };
    },
  };
}

async function planSecret(job: BuildJob, mount: SecretMount, expand: ExpandWord): Promise<PlannedMount> {
  const given = mount.target === undefined ? undefined : expand(mount.target);
  const id = mount.id === undefined ? posix.basename(given ?? '') : expand(mount.id);
  const variable = mount.env === undefined ? undefined : expand(mount.env);
  const target = given ?? (variable === undefined ? `/run/secrets/${posix.basename(id)}` : undefined);
  const { required, mode = 0o400, uid = 0, gid = 0 } = mount;
  const content = job.secrets.get(id);
  if (content === undefined && required)
    throw new SlipwayError('E_NOT_FOUND', `the secret ${id} is required and the build was not given it`, {
      hint: `slipway build --secret id=${id},src=FILE`,
    });
  return {
    key: ['secret', id, target, variable, required, mode, uid, gid],
    make: async () =>
      content === undefined || target === undefined ? undefined : { type: 'secret', content, target, mode, uid, gid },
    ...(content === undefined || variable === undefined
      ? {}
      : { secretVariable: { name: variable, value: Buffer.from(content).toString('utf8') } }),
  };
}

function checkOwner(uid: number, gid: number): void {
  if (canOwn(uid, gid)) return;
  throw new SlipwayError('E_UNSUPPORTED', `a mount cannot belong to ${uid}:${gid}: this user has no such id to give`, {
    hint: 'give the user subordinate ids (usermod --add-subuids and --add-subgids, package uidmap), or build as root',
  });
}
