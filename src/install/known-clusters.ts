import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.js';
import { statePaths } from './cluster-paths.js';
import { readClusterState } from './cluster-state.js';

/**
 * The names of the images that the clusters of this machine were launched from.
 * @throws SlipwayError E_CLUSTER_STATE when the state of a cluster cannot be read.
 */
export async function imagesOfClusters(storeRoot: string): Promise<readonly string[]> {
  let names: readonly string[];
  try {
    names = await readdir(join(storeRoot, 'data'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
  const images: string[] = [];
  for (const name of names) {
    const state = await readClusterState(statePaths(storeRoot, name));
    if (state !== undefined) images.push(state.image.name);
  }
  return images;
}
