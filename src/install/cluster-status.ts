import { isSlipwayError, messageOf } from '../base/errors.js';
import type { HostFailure } from '../hosts/host-group.js';
import { tryOnHosts } from '../hosts/host-group.js';
import type { ClusterNode } from '../runtime/driver.js';
import { askCluster, type ClusterAnswer, nodeAt } from './cluster-hosts/ask-cluster.js';
import { type ReachOptions, withClusterHosts } from './cluster-hosts/cluster-hosts.js';
import { type HostOwner, readOwner } from './cluster-hosts/host-owner.js';
import { hostPaths } from './state/cluster-paths.js';
import type { ClusterState, HostState } from './state/cluster-state.js';

/**
 * How a host stands in its cluster. `unreachable`: it does not answer here, whatever the cluster says of it. `not joined`: it is no node.
 * `unknown`: no master answers.
 */
export type HostStanding = 'Ready' | 'NotReady' | 'unreachable' | 'not joined' | 'unknown';

/** One host of a cluster, as `status --format json` has it. */
export interface HostStatus {
  readonly address: string;
  readonly roles: readonly string[];
  /** Name of its node. */
  readonly node: string | null;
  /** Of its kubelet. */
  readonly version: string | null;
  readonly status: HostStanding;
  /** Why it is not Ready. */
  readonly why: string | null;
}

/** What is known of a cluster that was asked. */
export interface ClusterStatus {
  /** The master that answered. */
  readonly master: string | null;
  /** Why none did. */
  readonly problem: string | null;
  readonly hosts: readonly HostStatus[];
  /** Names of nodes that are on none of the hosts. */
  readonly strangers: readonly string[];
}

/** What was found out about one host: whose it says that it is, or why it does not answer. */
export type HostAnswer = { readonly owner: HostOwner | undefined } | { readonly failure: unknown };

/**
 * Asks the hosts of a cluster, at once, and a master for its nodes. Changes nothing, and needs no image; hosts that are down are part
 * of the answer.
 * @throws SlipwayError E_INTERRUPTED
 */
export async function clusterStatus(state: ClusterState, options: ReachOptions): Promise<ClusterStatus> {
  const { signal, concurrency } = options;
  const paths = hostPaths(state.dataRoot, state.name);
  return withClusterHosts(state, options, async (hosts) => {
    const { results, failures } = await tryOnHosts(
      hosts.map(({ host }) => host),
      (host) => readOwner(host, paths, signal),
      { concurrency, signal },
    );
    signal.throwIfAborted();
    const answer = await askCluster(state, hosts, new Set(results.keys()));
    signal.throwIfAborted();
    return statusOf(state, answersOf(state.hosts, results, failures), answer);
  });
}

function answersOf(
  hosts: readonly HostState[],
  results: ReadonlyMap<string, HostOwner | undefined>,
  failures: readonly HostFailure[],
): ReadonlyMap<string, HostAnswer> {
  return new Map(
    hosts.map(({ address }) => {
      const failed = failures.find((one) => one.address === address);
      return [address, failed === undefined ? { owner: results.get(address) } : { failure: failed.error }];
    }),
  );
}

/** Puts together what hosts and cluster said. Pure. */
export function statusOf(
  state: Pick<ClusterState, 'id' | 'name' | 'hosts'>,
  answers: ReadonlyMap<string, HostAnswer>,
  cluster: ClusterAnswer,
): ClusterStatus {
  const nodes = cluster.master === undefined ? [] : cluster.nodes;
  return {
    master: cluster.master?.address ?? null,
    problem: cluster.master === undefined ? cluster.why : null,
    hosts: state.hosts.map((known) => {
      const node = nodeAt(nodes, known.address);
      const answer = answers.get(known.address) ?? { owner: undefined };
      return {
        address: known.address,
        roles: known.roles,
        node: node?.name ?? null,
        version: node === undefined || node.version === '' ? null : node.version,
        ...standing(state, known, answer, node, cluster),
      };
    }),
    strangers: nodes
      .filter(({ addresses }) => !state.hosts.some(({ address }) => addresses.includes(address)))
      .map(({ name }) => name),
  };
}

function standing(
  { id, name }: Pick<ClusterState, 'id' | 'name'>,
  known: HostState,
  answer: HostAnswer,
  node: ClusterNode | undefined,
  cluster: ClusterAnswer,
): { readonly status: HostStanding; readonly why: string | null } {
  if ('failure' in answer) {
    const says =
      node === undefined ? '' : `; the cluster says ${node.ready ? 'Ready' : `NotReady (${node.condition})`}`;
    return { status: 'unreachable', why: `${withoutHost(answer.failure, known.address)}${says}` };
  }
  if (node !== undefined) {
    if (!node.ready) return { status: 'NotReady', why: node.condition };
    return { status: 'Ready', why: node.unschedulable ? 'cordoned: it takes no new pods' : null };
  }
  const { owner } = answer;
  const foreign = owner !== undefined && owner.id !== id;
  if (foreign) return { status: 'not joined', why: `it belongs to another cluster (${owner.cluster}, ${owner.id})` };
  if (owner === undefined) return { status: 'not joined', why: `nothing of ${name} is on it` };
  if (cluster.master === undefined) return { status: 'unknown', why: 'no master answers' };
  return {
    status: 'not joined',
    why:
      known.leaving === true
        ? 'it was taken out of the cluster and is not clean yet'
        : 'it was begun and is no node yet',
  };
}

/** A failure in one line, without the host's name in front of it: it stands in the host's row. */
function withoutHost(failure: unknown, address: string): string {
  const [line = ''] = messageOf(failure).split('\n', 1);
  const text = line.replace(`host ${address}: `, '').replace(/, while running [^,]*$/, '');
  return isSlipwayError(failure) ? text : `internal error: ${text}`;
}
