import type { Host } from '../../hosts/host.js';
import type { ClusterContext } from '../driver.js';
import { setHostsBlock } from '../etc-hosts.js';
import { controlPlaneEndpoint } from './config.js';
import { kubeadmFacts } from './facts.js';

/** The name of our block in /etc/hosts. */
export const HOSTS_BLOCK = 'apiserver';

/** Lets the API server's name on `host` lead to `address`. Does nothing when the cluster's documents name an endpoint of their own. */
export async function pointApiServerName(host: Host, address: string, cluster: ClusterContext): Promise<void> {
  const { managed, name } = controlPlaneEndpoint(kubeadmFacts(cluster));
  if (managed) await setHostsBlock(host, HOSTS_BLOCK, [{ address, names: [name] }]);
}
