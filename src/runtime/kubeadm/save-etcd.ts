import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext } from '../driver.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { listNodes } from './cluster.js';
import { hasOwnEtcd, saveSnapshot } from './etcd.js';

/**
 * Saves what etcd on a master has into a file there, for root alone.
 * @throws SlipwayError E_UNSUPPORTED when etcd runs somewhere else; E_CLUSTER_STATE when the master is no node.
 */
export async function saveEtcd(
  master: Host,
  { rootfs }: Pick<ClusterContext, 'rootfs'>,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await hasOwnEtcd(master))) {
    throw new SlipwayError('E_UNSUPPORTED', `${master.address}: etcd does not run on the masters of this cluster`, {
      hint: 'save it where it runs',
    });
  }
  const node = nodeOf(await listNodes(master, rootfs), master)?.name;
  if (node === undefined) throw new SlipwayError('E_CLUSTER_STATE', `${master.address} is no node of the cluster`);
  await saveSnapshot({ host: master, rootfs, node }, file, signal);
}
