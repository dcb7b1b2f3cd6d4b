import { messageOf, SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';
import { tryOnHosts } from '../hosts/host-group.js';
import { withLock } from '../store/locks.js';
import { type HostSet, openHosts, sshConnect } from './cluster-hosts/connect-hosts.js';
import { readOwner } from './cluster-hosts/host-owner.js';
import { lockCluster } from './cluster-hosts/lock-hosts.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import { type HostPaths, hostPaths, type StatePaths, statePaths } from './state/cluster-paths.js';
import { type ClusterState, readClusterState } from './state/cluster-state.js';
import { hostFromState } from './state/spec-from-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from './survey.js';

/** A cluster that nobody else works on. */
export interface LockedCluster {
  readonly cluster: ClusterState;
  readonly state: StatePaths;
  readonly paths: HostPaths;
  /** Hosts of the cluster that answer and say that they are; they are locked. */
  readonly answering: readonly Host[];
  /** Addresses of the others. */
  readonly silent: readonly string[];
  readonly logs: HostSet['logs'];
  /** Aborted when a lock was lost. */
  readonly lost: AbortSignal;
}

export interface LockOptions {
  readonly cluster: string;
  readonly ssh: SshFlags;
  /** For others that want the locks: `registry push`. */
  readonly purpose: string;
  /** Refuses the cluster before any host is asked. */
  readonly check?: (cluster: ClusterState) => void;
  readonly concurrency?: number | undefined;
}

/**
 * Works on the hosts of a known cluster that answer, while nobody else does. Needs neither its image nor its secrets.
 * @throws SlipwayError E_NOT_FOUND, E_LOCKED.
 */
export async function withLockedCluster<T>(
  { cluster: name, ssh, purpose, check, concurrency = DEFAULT_CONCURRENCY }: LockOptions,
  { store, reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (locked: LockedCluster) => Promise<T>,
): Promise<T> {
  const state = statePaths(store.root, name);
  const work = async (): Promise<T> => {
    const cluster = await readClusterState(state);
    if (cluster === undefined) throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${name}`);
    check?.(cluster);
    const specs = cluster.hosts.filter(({ leaving }) => leaving !== true).map((host) => hostFromState(host, ssh));
    const hosts = await openHosts(specs, state.logs, connect);
    try {
      const paths = hostPaths(cluster.dataRoot, cluster.name);
      const all = [...hosts.hosts.values()];
      const { results, failures } = await tryOnHosts(all, (host) => readOwner(host, paths, signal), {
        concurrency,
        signal,
      });
      signal.throwIfAborted();
      for (const { error } of failures) reporter.warn(messageOf(error));
      const answering = all.filter(({ address }) => results.get(address)?.id === cluster.id);
      const quiet = answering.flatMap(({ address }) => hosts.quiet.get(address) ?? []);
      const locks = await lockCluster(quiet, cluster, purpose);
      try {
        const silent = all.filter((host) => !answering.includes(host)).map(({ address }) => address);
        return await use({ cluster, state, paths, answering, silent, logs: hosts.logs, lost: locks.lost });
      } finally {
        await locks.release();
      }
    } finally {
      for (const problem of await hosts.close()) reporter.warn(`the log is not complete: ${problem}`);
    }
  };
  return withLock(state.lock, 'exclusive', `cluster ${name}`, work, { waitSeconds: 0 });
}
