import { isIPv6 } from 'node:net';
import type { Application } from '../../image/cluster-image.js';
import type { ClusterNetworks } from '../../runtime/driver.js';
import { addressIn, podRange } from '../spec/cidr.js';
import type { AppConfigSpec, RegistrySpec } from '../spec/cluster-spec.js';

/** What the variables that sealer's scripts and templates know are made from. */
export interface EnvFacts {
  readonly clusterName: string;
  readonly rootfs: string;
  readonly containerRuntime: string;
  readonly registry: RegistrySpec;
  readonly networks: ClusterNetworks;
}

/**
 * Variables that every script, launch command and template gets, by the names sealer gave them.
 * Source: sealer, pkg/infradriver and docs "use env in scripts".
 */
export function clusterVariables({
  clusterName,
  rootfs,
  containerRuntime,
  registry,
  networks,
}: EnvFacts): Record<string, string> {
  const url = `${registry.domain}:${registry.port}`;
  const serviceCIDR = networks.serviceCIDR.split(',')[0] ?? '';
  return {
    ClusterName: clusterName,
    ClusterRootfs: rootfs,
    ContainerRuntime: containerRuntime,
    RegistryDomain: registry.domain,
    RegistryPort: String(registry.port),
    RegistryURL: url,
    LocalRegistryDomain: registry.domain,
    LocalRegistryPort: String(registry.port),
    LocalRegistryURL: url,
    PodCIDR: networks.podCIDR,
    SvcCIDR: networks.serviceCIDR,
    // By convention the API server has the first address of the services, DNS the tenth (kubeadm does the same).
    KubeSvcIP: addressIn(serviceCIDR, 1) ?? '',
    DNSSvcIP: addressIn(serviceCIDR, 10) ?? '',
  };
}

/**
 * Variables that the commands and templates of an application get: its own (APPENV) beat those of the image, and what was given for this
 * cluster or host beats both. Names that neither a shell nor a template can use are left out.
 */
export function applicationVariables(
  host: Readonly<Record<string, string>>,
  application: Readonly<Record<string, string>> | undefined,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const own = Object.entries(application ?? {}).filter(([name]) => /^[A-Za-z_]\w*$/.test(name));
  return { ...host, ...Object.fromEntries(own), ...given };
}

/**
 * {@link applicationVariables} of every application, by name.
 * @param configs what is another one of an application: beats all the rest.
 */
export function applicationEnvs(
  host: Readonly<Record<string, string>>,
  applications: readonly Pick<Application, 'name' | 'env'>[],
  given: Readonly<Record<string, string>>,
  configs: readonly Pick<AppConfigSpec, 'name' | 'env'>[] = [],
): ReadonlyMap<string, Readonly<Record<string, string>>> {
  return new Map(
    applications.map(({ name, env }) => {
      const own = configs.find((one) => one.name === name)?.env;
      return [name, applicationVariables(host, env, { ...given, ...own })];
    }),
  );
}

/** Variables of one host. `index` is its number among the hosts of the cluster. */
export function hostVariables(
  address: string,
  index: number,
  { podCIDR }: Pick<ClusterNetworks, 'podCIDR'>,
): Record<string, string> {
  const pods = podRange(podCIDR, index);
  return {
    HostIP: address,
    HostIPFamily: isIPv6(address) ? '6' : '4',
    ...(pods === undefined ? {} : { HostPodCIDR: pods }),
  };
}
