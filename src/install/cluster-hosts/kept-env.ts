import type { RuntimeDriver } from '../../runtime/driver.js';
import { hostPaths } from '../state/cluster-paths.js';
import type { ClusterState } from '../state/cluster-state.js';
import { clusterVariables, hostVariables } from './host-env.js';

/**
 * The variables that scripts and hooks get on a host of a cluster of which only the state is known: those of the image's ENV, and secret
 * ones, are not among them.
 */
export function keptHostEnv(
  state: ClusterState,
  driver: Pick<RuntimeDriver, 'networks'>,
  address: string,
): Record<string, string> {
  const networks = driver.networks(state.documents);
  const known = state.hosts.find((host) => host.address === address);
  return {
    ...clusterVariables({
      clusterName: state.name,
      rootfs: hostPaths(state.dataRoot, state.name).rootfs,
      containerRuntime: state.containerRuntime ?? 'containerd',
      registry: state.registry,
      networks,
    }),
    ...state.env,
    ...hostVariables(address, known?.index ?? 0, networks),
    ...known?.env,
    HostIP: address,
  };
}
