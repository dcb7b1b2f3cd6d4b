import { messageOf, SlipwayError } from '../../base/errors.js';
import type { Host, HostFacts } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { ClusterRuntime } from '../../image/metadata.js';
import { type ClusterTraces, findTraces, type HostOwner } from '../cluster-hosts/host-owner.js';
import { type HostSetup, readSetup } from '../cluster-hosts/host-setup.js';
import { hostPaths } from '../state/cluster-paths.js';
import { type ClusterState, parseClusterState } from '../state/cluster-state.js';

/** What a host says to somebody who knows nothing of it. */
export interface Seen {
  readonly host: Host;
  readonly facts: HostFacts;
  readonly traces: ClusterTraces;
}

/** A host, or why it does not say anything. */
export type Look = Seen | { readonly host: Host; readonly failure: string };

/** Looks at hosts, whatever becomes of each. Changes nothing. */
export async function lookAt(
  hosts: readonly Host[],
  dataRoot: string,
  options: { readonly concurrency: number; readonly signal: AbortSignal },
): Promise<readonly Look[]> {
  const { results, failures } = await tryOnHosts(
    hosts,
    async (host) => ({
      host,
      facts: await host.facts({ diskPath: dataRoot }),
      traces: await findTraces(host, dataRoot),
    }),
    options,
  );
  options.signal.throwIfAborted();
  return hosts.map((host) => {
    const failure = failures.find(({ address }) => address === host.address)?.error;
    return results.get(host.address) ?? { host, failure: messageOf(failure).split('\n', 1)[0] ?? '' };
  });
}

/**
 * The cluster of Slipway that hosts belong to; undefined when they are of none. Pure.
 * @param name the cluster that is meant, when hosts are of several.
 * @throws SlipwayError E_USAGE when it is not clear, E_CLUSTER_STATE when some are of another one.
 */
export function commonOwner(
  seen: readonly { readonly address: string; readonly owners: readonly HostOwner[] }[],
  name: string | undefined,
): HostOwner | undefined {
  const all = new Map(seen.flatMap(({ owners }) => owners.map((owner) => [owner.id, owner] as const)));
  const named = [...all.values()].filter(({ cluster }) => name === undefined || cluster === name);
  const [owner, ...more] = named;
  const list = [...all.values()].map(({ cluster, id }) => `${cluster} (${id})`).join(', ');
  if (more.length > 0) {
    throw new SlipwayError('E_USAGE', `the hosts are of several clusters: ${list}`, {
      hint: name === undefined ? 'say which one with --cluster, and give its hosts' : 'give the hosts of one of them',
    });
  }
  if (owner === undefined && all.size > 0) {
    throw new SlipwayError('E_CLUSTER_STATE', `the hosts are of ${list}, not of ${name}`, {
      hint: 'a cluster keeps its name: leave --cluster out',
    });
  }
  const others = seen.filter(({ owners }) => !owners.some(({ id }) => id === owner?.id));
  if (owner !== undefined && others.length > 0) {
    const addresses = others.map(({ address }) => address).join(', ');
    throw new SlipwayError('E_CLUSTER_STATE', `${addresses}: nothing of cluster ${owner.cluster} is on it`, {
      hint: 'leave it out; a host that is to become one of the cluster is joined afterwards: "slipway join"',
    });
  }
  return owner;
}

/** What runs on a master, by what it has left there; undefined when that is nothing that is known. Pure. */
export function runtimeOf({ kubernetes }: Pick<ClusterTraces, 'kubernetes'>): ClusterRuntime | undefined {
  if (kubernetes.some((path) => path.startsWith('/etc/kubernetes/'))) return 'k8s';
  if (kubernetes.some((path) => path.includes('/k3s'))) return 'k3s';
  return kubernetes.some((path) => path.includes('/k0s')) ? 'k0s' : undefined;
}

/** The newest copy of the state that masters keep of their cluster. What cannot be read, or is another cluster's, counts as none. */
export async function readCopies(
  masters: readonly Host[],
  dataRoot: string,
  { id, cluster }: HostOwner,
): Promise<ClusterState | undefined> {
  const paths = hostPaths(dataRoot, cluster);
  const { results } = await tryOnHosts(masters, async (master) => {
    const text = (await master.readFile(paths.state))?.toString('utf8');
    return text === undefined ? 'none' : parseClusterState(text);
  });
  const copies = [...results.values()].filter((copy) => typeof copy !== 'string');
  return copies
    .filter((copy) => copy.id === id && copy.name === cluster)
    .sort((a, b) => revisionOf(b) - revisionOf(a) || (a.updated < b.updated ? 1 : -1))[0];
}

function revisionOf({ revision }: ClusterState): number {
  return revision?.number ?? 0;
}

/** How hosts were set up by Slipway, those that were. */
export async function readSetups(
  hosts: readonly Host[],
  dataRoot: string,
  { cluster }: HostOwner,
): Promise<ReadonlyMap<string, HostSetup>> {
  const { results } = await tryOnHosts(hosts, (host) => readSetup(host, hostPaths(dataRoot, cluster)));
  return new Map([...results].flatMap(([address, setup]) => (setup === undefined ? [] : [[address, setup] as const])));
}
