import type { Host } from '../../hosts/host.js';
import type { SshFlags } from '../spec/spec-from-flags.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';
import { hostFromState } from '../state/spec-from-state.js';
import type { Connect } from './connect-hosts.js';

/** A host of a known cluster, and the way to it. Connects at the first use. */
export interface ClusterHost {
  readonly known: HostState;
  readonly host: Host;
}

/** How the hosts of a known cluster are reached and worked on. */
export interface ReachOptions {
  /** Wins over what was kept of the cluster; passwords never are. */
  readonly ssh: SshFlags;
  readonly connect: Connect;
  /** Hosts worked on at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

/**
 * Gives the hosts of a cluster to `use`, and ends their connections after it. Nothing is logged: this is for looking, and for commands
 * whose output goes to a person.
 */
export async function withClusterHosts<T>(
  state: ClusterState,
  { ssh, connect }: Pick<ReachOptions, 'ssh' | 'connect'>,
  use: (hosts: readonly ClusterHost[]) => Promise<T>,
): Promise<T> {
  const hosts = state.hosts.map((known) => ({ known, host: connect(hostFromState(known, ssh)) }));
  try {
    return await use(hosts);
  } finally {
    await Promise.all(hosts.map(({ host }) => host.close().catch(() => {})));
    await connect.close?.();
  }
}
