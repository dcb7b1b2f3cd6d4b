import type { RuntimeDriver } from '../../runtime/driver.js';
import { applicationEnvs, clusterVariables, hostVariables } from '../cluster-hosts/host-env.js';
import type { ApplicationImage } from '../files/install-image.js';
import type { AppConfigSpec } from '../spec/cluster-spec.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';

/** What the commands and templates of an application image get. */
export interface AppEnvs {
  /** Those of the image as a whole. */
  readonly env: Readonly<Record<string, string>>;
  /** Those of cluster and host, which beat what an application says itself. */
  readonly cluster: Readonly<Record<string, string>>;
  /** Those of each application, by its name. */
  readonly applications: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/**
 * Variables for the master that the commands are run on: the same as in an image that installs a cluster. `ClusterRootfs` is where the files
 * of the application image are.
 * @param given on the command line: beats all others.
 */
export function appEnvs(
  state: Pick<ClusterState, 'name' | 'registry' | 'containerRuntime' | 'documents' | 'env'>,
  driver: Pick<RuntimeDriver, 'networks'>,
  rootfs: string,
  { address, index, env: ofHost }: Pick<HostState, 'address' | 'index' | 'env'>,
  image: Pick<ApplicationImage, 'env' | 'applications'>,
  given: Readonly<Record<string, string>>,
  appConfigs: readonly AppConfigSpec[],
): AppEnvs {
  const networks = driver.networks(state.documents);
  const own = { ...hostVariables(address, index, networks), ...ofHost };
  const { domain, port } = state.registry;
  const env = {
    ...clusterVariables({
      clusterName: state.name,
      rootfs,
      containerRuntime: state.containerRuntime ?? 'containerd',
      registry: { domain, port },
      networks,
    }),
    ...image.env,
    ...state.env,
    ...own,
    ...given,
  };
  const cluster = { ...state.env, ...own };
  return { env, cluster, applications: applicationEnvs(env, image.applications, { ...cluster, ...given }, appConfigs) };
}
