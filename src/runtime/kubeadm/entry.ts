import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { ClusterContext } from '../driver.js';
import { apiServerReady, findRemains } from './health.js';

/** The master through which the cluster is asked: the first of the context. */
export function entryMaster(cluster: ClusterContext): Host {
  const [first] = cluster.masters;
  if (first === undefined) throw new SlipwayError('E_CLUSTER_STATE', `cluster ${cluster.name} has no master`);
  return first;
}

/** Those of these masters that were set up to their end. Hosts that do not answer are passed over. */
export async function wholeMasters(masters: readonly Host[]): Promise<readonly Host[]> {
  const { results } = await tryOnHosts(masters, async (master) => (await findRemains(master)).complete);
  return masters.filter(({ address }) => results.get(address) === true);
}

/** The first of these masters that is a whole one, and whose own API server is ready. Hosts that do not answer are passed over. */
export async function findLiveMaster(masters: readonly Host[], rootfs: string): Promise<Host | undefined> {
  for (const master of masters) {
    try {
      if ((await findRemains(master)).complete && (await apiServerReady(master, rootfs))) return master;
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error;
    }
  }
  return undefined;
}
