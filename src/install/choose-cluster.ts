import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { statePaths } from './cluster-paths.js';
import { clusterNameSchema } from './cluster-spec.js';
import { type ClusterState, readClusterState } from './cluster-state.js';

/**
 * The cluster that a command is about: the one that is named, else the only one that this store knows.
 * @throws SlipwayError E_NOT_FOUND when there is none, E_USAGE when there are several and none is named.
 */
export async function chooseCluster(storeRoot: string, name: string | undefined): Promise<ClusterState> {
  const known = await clusterNames(storeRoot);
  const [only] = known;
  const chosen = name ?? (known.length === 1 ? only : undefined);
  if (chosen === undefined) {
    if (known.length > 1) {
      throw new SlipwayError('E_USAGE', `there are several clusters: ${known.join(', ')}`, {
        hint: 'say which one with --cluster',
      });
    }
    throw new SlipwayError('E_NOT_FOUND', `no cluster is known in ${storeRoot}`, {
      hint: 'this machine knows the clusters that were launched with this store; --root chooses another one',
    });
  }
  const state = clusterNameSchema.safeParse(chosen).success
    ? await readClusterState(statePaths(storeRoot, chosen))
    : undefined;
  if (state === undefined) {
    throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${JSON.stringify(chosen)}`, {
      hint: known.length === 0 ? `no cluster is known in ${storeRoot}` : `known are: ${known.join(', ')}`,
    });
  }
  return state;
}

/** The names of the clusters that were launched with this store, in order. */
async function clusterNames(storeRoot: string): Promise<readonly string[]> {
  const names: string[] = [];
  try {
    names.push(...(await readdir(join(storeRoot, 'data'))));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw fileSystemError(error, `reading ${join(storeRoot, 'data')}`);
  }
  const known: string[] = [];
  for (const name of names.filter((one) => clusterNameSchema.safeParse(one).success).sort()) {
    if ((await readClusterState(statePaths(storeRoot, name))) !== undefined) known.push(name);
  }
  return known;
}
