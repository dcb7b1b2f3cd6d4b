import { setMaxListeners } from 'node:events';
import type { Host } from '../../hosts/host.js';
import { onHosts } from '../../hosts/host-group.js';
import type { ClusterState } from '../state/cluster-state.js';
import { assertNotOutdated } from '../state/kept-on-masters.js';
import { type HostLock, lockHost } from './host-lock.js';

/** The locks of several hosts. */
export interface HostLocks {
  /** Aborted, with an error that says why, when one of the locks was taken from us. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/**
 * Takes the locks of all hosts, or of none.
 * @throws SlipwayError E_LOCKED that names the host and who has it; of several, all of them.
 */
export async function lockHosts(hosts: readonly Host[], purpose: string): Promise<HostLocks> {
  const lost = new AbortController();
  setMaxListeners(0, lost.signal);
  const held: HostLock[] = [];
  const release = async (): Promise<void> => {
    // A host that cannot be reached any more gives its lock back by itself, after a minute.
    await Promise.all(held.map((lock) => lock.release().catch(() => {})));
  };
  try {
    await onHosts(hosts, async (host) => {
      held.push(await lockHost(host, { purpose, onLost: (error) => lost.abort(error) }));
    });
  } catch (error) {
    await release();
    throw error;
  }
  return { lost: lost.signal, release };
}

/**
 * Takes the locks of all these hosts of a cluster that is to be changed. Whether somebody has changed it meanwhile from another machine is
 * asked while nobody can.
 * @param command for others that want the locks: `delete`.
 * @throws SlipwayError E_LOCKED as {@link lockHosts}, E_CLUSTER_STATE as {@link assertNotOutdated}
 */
export async function lockCluster(hosts: readonly Host[], state: ClusterState, command: string): Promise<HostLocks> {
  const locks = await lockHosts(hosts, `${command} ${state.name}`);
  try {
    await assertNotOutdated(hosts, state);
    return locks;
  } catch (error) {
    await locks.release();
    throw error;
  }
}
