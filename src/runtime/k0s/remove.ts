import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep, RemoveOptions } from '../driver.js';
import { drainNode, entryMaster, listNodes, nodeOf } from './cluster.js';
import { kubectl } from './commands.js';
import { etcdMembers, leaveEtcd, leavingProblem } from './etcd.js';
import { k0sAbilities } from './versions.js';

/**
 * Takes a host out of the cluster: drained, as far as disruption budgets let it in time, its etcd member removed, then what the cluster
 * knows of it. Goes through the master that is asked, which must be another one; the host itself may be down (then there is nothing
 * to drain).
 * Source: k0s, docs/remove_controller.md. There the node is deleted before its member leaves; here after, so that a removal that breaks
 * off is seen as one as long as anything is left to do.
 */
export function removeStep(host: Host, cluster: ClusterContext, { drainTimeoutMs }: RemoveOptions): DriverStep {
  const entry = entryMaster(cluster);
  return {
    title: 'take it out of the cluster',
    async done() {
      if (nodeOf(await listNodes(entry), host) !== undefined) return false;
      return (await etcdMembers(entry))?.every(({ address }) => address !== host.address) ?? true;
    },
    async run(_note, signal) {
      const node = nodeOf(await listNodes(entry), host);
      const members = await etcdMembers(entry, signal);
      // Asked again, now that it is its turn: another member may have died meanwhile.
      const problem = members && (await leavingProblem(entry, members, [host.address], signal));
      if (problem !== undefined) throw new SlipwayError('E_CLUSTER_STATE', `${host.address} stays: ${problem}`);
      if (node?.ready && drainTimeoutMs > 0) await drainNode(entry, cluster, node, drainTimeoutMs, signal);
      if (members !== undefined) await leaveEtcd(entry, host.address, signal);
      const name = node?.name ?? members?.find(({ address }) => address === host.address)?.id;
      if (name === undefined || name === '') return;
      await forget(entry, cluster.version, name, signal);
      await kubectl(entry, '', ['delete', 'node', name, '--ignore-not-found'], {
        signal,
        title: `deleting node ${name}`,
      });
    },
  };
}

/** Objects that k0s keeps of a controller; of a worker it keeps none. Not there, or of a version that has none, is as good. */
async function forget(entry: Host, version: string, name: string, signal?: AbortSignal): Promise<void> {
  const { controlNodes, etcdMemberObjects } = k0sAbilities(version);
  const kinds = [
    ...(controlNodes ? ['controlnodes.autopilot.k0sproject.io'] : []),
    ...(etcdMemberObjects ? ['etcdmembers.etcd.k0sproject.io'] : []),
  ];
  for (const kind of kinds) {
    try {
      // A failure is no answer: etcd elects a leader just now, when the one that leaves was it.
      await kubectl(entry, '', ['delete', kind, name, '--ignore-not-found'], {
        signal,
        title: `deleting ${kind} ${name}`,
      });
    } catch (error) {
      if (!isSlipwayError(error, 'E_HOST_COMMAND') || !/doesn't have a resource type/.test(error.message)) throw error;
    }
  }
}

/** Why these hosts cannot be taken out; undefined when they can. Asks the cluster, changes nothing. */
export async function removalProblem(hosts: readonly Host[], cluster: ClusterContext): Promise<string | undefined> {
  const entry = entryMaster(cluster);
  const members = await etcdMembers(entry);
  return (
    members &&
    leavingProblem(
      entry,
      members,
      hosts.map(({ address }) => address),
    )
  );
}
