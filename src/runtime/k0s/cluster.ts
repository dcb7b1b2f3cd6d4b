import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode, DriverStep, NodeMarks } from '../driver.js';
import { drainNode as drain } from '../kubernetes/drain.js';
import { markStep as mark } from '../kubernetes/marks.js';
import { isDualStack } from '../kubernetes/node-ip.js';
import { listNodes as list } from '../kubernetes/nodes.js';
import { kubectl } from './commands.js';
import { type K0sFacts, networksOf } from './config.js';
import type { ServiceOptions } from './service.js';

export { entryMaster } from '../kubernetes/masters.js';
export { nodeOf } from '../kubernetes/nodes.js';

/** What is asked of the cluster's API, whichever way it was installed; here through k0s' own kubectl. */
export function listNodes(master: Host): Promise<readonly ClusterNode[]> {
  return list(master, '', kubectl);
}

export function markStep(first: Host, cluster: ClusterContext, marks: ReadonlyMap<string, NodeMarks>): DriverStep {
  return mark(first, cluster, marks, kubectl);
}

export function drainNode(
  entry: Host,
  cluster: ClusterContext,
  node: ClusterNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return drain(entry, cluster, node, timeoutMs, signal, kubectl);
}

/** What the configuration is made from, of what the driver is told. */
export function k0sFacts(cluster: ClusterContext): K0sFacts {
  return {
    version: cluster.version,
    // Sorted: which master is asked at the moment must not change the file.
    masters: cluster.masters.map(({ address }) => address).sort(),
    certSANs: cluster.certSANs,
    documents: cluster.configDocuments,
  };
}

/** What a service is installed with, whichever host it is on. */
export function sharedOptions({
  workers,
  configDocuments,
}: ClusterContext): Pick<ServiceOptions, 'hasWorkers' | 'dualStack'> {
  return { hasWorkers: workers.length > 0, dualStack: isDualStack(networksOf(configDocuments).podCIDR) };
}
