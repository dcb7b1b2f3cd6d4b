import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { isMaster } from '../spec/cluster-spec.js';
import { parseIpList } from '../spec/ip-list.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';

/** Which hosts of a cluster; nothing said means all of them. */
export interface HostChoice {
  readonly masters?: boolean | undefined;
  readonly nodes?: boolean | undefined;
  /** Addresses as {@link parseIpList} reads them. */
  readonly hosts?: string | undefined;
  /** Names of roles, separated by commas: hosts that have one of them. */
  readonly roles?: string | undefined;
}

/**
 * The hosts that are meant, in the order of the cluster.
 * @throws SlipwayError E_USAGE when none is, an address is not of this cluster, or no host has a role.
 */
export function chooseHosts(
  { name, hosts }: Pick<ClusterState, 'name' | 'hosts'>,
  choice: HostChoice,
): readonly HostState[] {
  const ways = Object.values(choice).filter((one) => one !== undefined && one !== false);
  if (ways.length > 1) throw new SlipwayError('E_USAGE', '--masters, --nodes, --hosts and --roles exclude each other');
  if (choice.masters === true) return some(hosts.filter(isMaster), `cluster ${name} has no masters`);
  if (choice.nodes === true) {
    return some(
      hosts.filter((host) => !isMaster(host)),
      `cluster ${name} has no hosts but masters`,
    );
  }
  if (choice.roles !== undefined) return byRoles(name, hosts, choice.roles);
  if (choice.hosts === undefined) return hosts;
  const { addresses, mistakes } = parseIpList(choice.hosts);
  const strange = addresses.filter((address) => !hosts.some((host) => host.address === address));
  const all = [...mistakes, ...strange.map((address) => `${address} is no host of cluster ${name}`)];
  if (all.length > 0) {
    throw new SlipwayError('E_USAGE', `--hosts: ${all.join('; ')}`, {
      hint: `its hosts are ${hosts.map(({ address }) => address).join(', ')}`,
    });
  }
  return some(
    hosts.filter(({ address }) => addresses.includes(address)),
    '--hosts is empty',
  );
}

function byRoles(name: string, hosts: readonly HostState[], text: string): readonly HostState[] {
  const wanted = text.split(/[\s,]+/).filter((role) => role !== '');
  const known = [...new Set(hosts.flatMap(({ roles }) => roles))];
  for (const role of wanted) {
    if (known.includes(role)) continue;
    const near = suggest(role, known);
    throw new SlipwayError('E_USAGE', `no host of cluster ${name} has the role ${JSON.stringify(role)}`, {
      hint: near === undefined ? `roles are ${known.join(', ')}` : `did you mean ${near}?`,
    });
  }
  return some(
    hosts.filter(({ roles }) => roles.some((role) => wanted.includes(role))),
    '--roles is empty',
  );
}

function some(hosts: readonly HostState[], otherwise: string): readonly HostState[] {
  if (hosts.length === 0) throw new SlipwayError('E_USAGE', otherwise);
  return hosts;
}
