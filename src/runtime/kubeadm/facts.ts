import type { ClusterContext } from '../driver.js';
import type { KubeadmFacts } from './config.js';

/** What the configuration is made from, of what the driver is told. */
export function kubeadmFacts(cluster: ClusterContext): KubeadmFacts {
  return {
    version: cluster.version,
    masters: cluster.masters.map(({ address }) => address),
    hasWorkers: cluster.workers.length > 0,
    certSANs: cluster.certSANs,
    documents: cluster.configDocuments,
  };
}
