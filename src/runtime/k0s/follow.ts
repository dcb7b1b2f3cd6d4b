import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { checkMasters } from './prepare.js';

/**
 * Nothing has to be done on a host for it to find the API servers of all masters: a controller asks its own, and on every node the
 * node-local balancer of k0s watches which there are (before v1.29, several masters are only there behind a balancer of the user's).
 * What is refused here is a cluster that would have neither.
 */
export function followStep(_host: Host, cluster: ClusterContext): DriverStep {
  const masters = cluster.masters.map(({ address }) => address).sort();
  return {
    title: `find the API servers ${masters.join(', ')}`,
    async done() {
      checkMasters(cluster);
      return true;
    },
    run: async () => {},
  };
}
