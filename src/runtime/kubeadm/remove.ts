import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { isAtLeast } from './api-version.js';
import { kubectl } from './commands.js';
import { listNodes, nodeOf } from './nodes.js';

const DRAIN_SECONDS = 300;

/**
 * Takes a worker out of the cluster: drained, as far as disruption budgets let it within five minutes, then deleted. Goes through
 * the first master that answers; the host itself may be down (then there is nothing to drain).
 */
export function removeStep(host: Host, cluster: ClusterContext): DriverStep {
  const { rootfs } = cluster;
  return {
    title: 'removing the node',
    async done() {
      const { nodes } = await liveMaster(host, cluster);
      return nodeOf(nodes, host) === undefined;
    },
    async run(_note, signal) {
      const { master, nodes } = await liveMaster(host, cluster);
      const node = nodeOf(nodes, host);
      if (node === undefined) return;
      if (node.controlPlane) {
        throw new SlipwayError(
          'E_UNSUPPORTED',
          `${host.address} is a control-plane node; only workers can be removed`,
          {
            hint: 'to take the whole cluster away use "slipway reset"',
          },
        );
      }
      if (node.ready) {
        const emptyDirFlag = isAtLeast(cluster.version, '1.20') ? '--delete-emptydir-data' : '--delete-local-data';
        await kubectl(
          master,
          rootfs,
          ['drain', node.name, '--ignore-daemonsets', '--force', emptyDirFlag, `--timeout=${DRAIN_SECONDS}s`],
          { signal, timeoutMs: (DRAIN_SECONDS + 60) * 1000, title: `draining ${node.name}` },
        );
      }
      await kubectl(master, rootfs, ['delete', 'node', node.name], {
        signal,
        title: `deleting node ${node.name}`,
      });
    },
  };
}

async function liveMaster(host: Host, cluster: ClusterContext) {
  let failure: unknown;
  for (const master of cluster.masters) {
    if (master.address === host.address) continue;
    try {
      return { master, nodes: await listNodes(master, cluster.rootfs) };
    } catch (error) {
      failure = error;
    }
  }
  throw new SlipwayError('E_CLUSTER_STATE', `no other master of cluster ${cluster.name} answers`, { cause: failure });
}
