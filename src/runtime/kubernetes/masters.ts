import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { ClusterContext, ClusterNode, RuntimeDriver } from '../driver.js';
import { nodeOf } from './nodes.js';

/** The master through which the cluster is asked: the first of the context. */
export function entryMaster(cluster: ClusterContext): Host {
  const [first] = cluster.masters;
  if (first === undefined) throw new SlipwayError('E_CLUSTER_STATE', `cluster ${cluster.name} has no master`);
  return first;
}

/** What a driver can say of one master. */
export interface MasterQuestions {
  /** Whether it was set up to its end. */
  complete(master: Host): Promise<boolean>;
  /** Whether its own API server is ready. */
  ready(master: Host, rootfs: string): Promise<boolean>;
}

/**
 * Whether a master's API server is ready and knows the master as a node. Both are asked at once: what takes time is that kubectl starts.
 * @throws SlipwayError of `nodes`, where the API server is ready
 */
export async function isReadyNode(
  master: Pick<Host, 'address'>,
  { ready, nodes }: { readonly ready: () => Promise<boolean>; readonly nodes: () => Promise<readonly ClusterNode[]> },
): Promise<boolean> {
  const known = nodes();
  // Of one that is not ready nobody waits for it.
  known.catch(() => undefined);
  return (await ready()) && nodeOf(await known, master) !== undefined;
}

/** Finds masters by what a driver says of each. Hosts that do not answer are passed over. */
export function mastersBy({ complete, ready }: MasterQuestions): Pick<RuntimeDriver, 'wholeMasters' | 'liveMaster'> {
  return {
    async wholeMasters(masters) {
      const { results } = await tryOnHosts(masters, complete);
      return masters.filter(({ address }) => results.get(address) === true);
    },
    async liveMaster(masters, rootfs) {
      for (const master of masters) {
        try {
          if ((await complete(master)) && (await ready(master, rootfs))) return master;
        } catch (error) {
          if (!(error instanceof SlipwayError)) throw error;
        }
      }
      return undefined;
    },
  };
}
