import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep, HostRemoval } from '../driver.js';
import { drainNode } from '../kubernetes/drain.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { deleteNode, listNodes } from './cluster.js';
import { kubectl } from './commands.js';
import { etcdMembers, forgetMember, quorumOf } from './etcd.js';
import { findRemains } from './health.js';
import { UNITS } from './paths.js';

/**
 * Takes a host out of the cluster: drained, as far as disruption budgets let it in time, then its node deleted, with which its member of etcd
 * goes. Goes through the master that is asked, which must be another one; the host itself may be down (then there is nothing to drain).
 */
export function removeStep(host: Host, cluster: ClusterContext, { drainTimeoutMs, ours }: HostRemoval): DriverStep {
  const entry = entryMaster(cluster);
  return {
    title: 'take it out of the cluster',
    async done() {
      if (nodeOf(await listNodes(entry), host) !== undefined) return false;
      if ((await etcdMembers(entry)).some(({ address }) => address === host.address)) return false;
      return !ours || !(await runs(host));
    },
    async run(_note, signal) {
      const node = nodeOf(await listNodes(entry), host);
      // Asked again, now that it is its turn: another member may have died meanwhile.
      const problem = await quorumOf(entry, [host.address]);
      if (problem !== undefined) throw new SlipwayError('E_CLUSTER_STATE', `${host.address} stays: ${problem}`);
      if (node?.ready && drainTimeoutMs > 0) await drainNode(entry, cluster, node, drainTimeoutMs, signal, kubectl);
      if (node !== undefined) await deleteNode(entry, node.name, signal);
      if (ours) await stopK3s(host);
      await forgetMember(entry, host.address, 'also one that never came', signal);
      if ((await etcdMembers(entry)).some(({ address }) => address === host.address)) {
        throw new SlipwayError('E_CLUSTER_STATE', `etcd on ${entry.address} still has ${host.address} as a member`);
      }
    },
  };
}

/** Whether k3s runs on a host that has left: it would join again. One that does not answer any more cannot. */
async function runs(host: Host): Promise<boolean> {
  try {
    return (await findRemains(host)).active.length > 0;
  } catch (error) {
    if (isSlipwayError(error, 'E_HOST_UNREACHABLE')) return false;
    throw error;
  }
}

/**
 * Stops what has left the cluster, and leaves the rest for the reset: a server whose etcd was taken out ends sooner or later, systemd starts it
 * again, and it would join as a new member. Pods go on until then. A host that does not answer any more cannot join either.
 * Source: k3s, pkg/daemons/executor/etcd.go ("this node has been removed from the cluster, please restart to rejoin").
 */
async function stopK3s(host: Host): Promise<void> {
  await host
    .run(`systemctl stop ${UNITS.server} ${UNITS.agent}`, {
      title: 'stopping k3s, which has left the cluster',
      timeoutMs: 120_000,
      allowFailure: true,
    })
    .catch((error: unknown) => {
      if (!(error instanceof SlipwayError)) throw error;
    });
}

/** Why these hosts cannot be taken out; undefined when they can. Asks the cluster, changes nothing. */
export function removalProblem(hosts: readonly Host[], cluster: ClusterContext): Promise<string | undefined> {
  return quorumOf(
    entryMaster(cluster),
    hosts.map(({ address }) => address),
  );
}
