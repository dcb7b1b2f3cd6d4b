import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { statePaths } from './cluster-paths.js';
import { type ClusterState, readClusterState } from './cluster-state.js';

/** A cluster of this machine: its state, or why that cannot be read. */
export type KnownCluster =
  | { readonly name: string; readonly state: ClusterState }
  | { readonly name: string; readonly problem: SlipwayError };

/** Every cluster that this machine knows, by name. One whose state cannot be read hides no other. */
export async function knownClusters(storeRoot: string): Promise<readonly KnownCluster[]> {
  const clusters: KnownCluster[] = [];
  for (const name of await clusterNames(storeRoot)) {
    try {
      const state = await readClusterState(statePaths(storeRoot, name));
      // A plan that was never carried out leaves a directory without a state.
      if (state !== undefined) clusters.push({ name, state });
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      clusters.push({ name, problem: error });
    }
  }
  return clusters;
}

/**
 * The cluster that a command is about: the one named, else the only one there is.
 * @throws SlipwayError E_NOT_FOUND when there is none (of that name), E_USAGE when there are several and none is named, E_CLUSTER_STATE
 * when its state cannot be read.
 */
export async function chooseCluster(storeRoot: string, name?: string): Promise<ClusterState> {
  const clusters = await knownClusters(storeRoot);
  const list = clusters.map((one) => one.name).join(', ');
  if (name !== undefined) {
    const found = clusters.find((one) => one.name === name);
    if (found === undefined) {
      throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${JSON.stringify(name)} in ${storeRoot}`, {
        hint: clusters.length === 0 ? 'none is known there: give another --root' : `known are: ${list}`,
      });
    }
    return stateOf(found);
  }
  const [only] = clusters;
  if (only === undefined) {
    throw new SlipwayError('E_NOT_FOUND', `no cluster is known in ${storeRoot}`, {
      hint: 'clusters are known where "slipway run" launched them: give that --root',
    });
  }
  if (clusters.length > 1) {
    throw new SlipwayError('E_USAGE', `there are several clusters: ${list}`, {
      hint: 'say which one with --cluster',
    });
  }
  return stateOf(only);
}

/**
 * Names and digests of the images that the clusters of this machine run, of those that they can go back to, and of applications.
 * @throws SlipwayError E_CLUSTER_STATE when the state of a cluster cannot be read.
 */
export async function imagesOfClusters(storeRoot: string): Promise<readonly string[]> {
  const clusters = (await knownClusters(storeRoot)).map(stateOf);
  return clusters.flatMap(({ image, previous, applications }) =>
    [image, ...(previous === undefined ? [] : [previous]), ...applications.map((app) => app.image)].flatMap(
      ({ name, digest }) => [name, digest],
    ),
  );
}

function stateOf(cluster: KnownCluster): ClusterState {
  if ('problem' in cluster) throw cluster.problem;
  return cluster.state;
}

async function clusterNames(storeRoot: string): Promise<readonly string[]> {
  const directory = join(storeRoot, 'data');
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fileSystemError(error, `reading ${directory}`);
  }
}
