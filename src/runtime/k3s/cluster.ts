import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode, DriverStep, NodeMarks } from '../driver.js';
import { markStep as mark } from '../kubernetes/marks.js';
import { listNodes as list } from '../kubernetes/nodes.js';
import { kubectl } from './commands.js';

/** The nodes that the API server of a master knows. */
export function listNodes(master: Host): Promise<readonly ClusterNode[]> {
  return list(master, '', kubectl);
}

/** Gives nodes their labels and taints. */
export function markStep(first: Host, cluster: ClusterContext, marks: ReadonlyMap<string, NodeMarks>): DriverStep {
  return mark(first, cluster, marks, kubectl);
}

/**
 * Deletes a node, and waits until it is gone: its member of etcd goes with it, and k3s lets the node go when that is out. Then what
 * k3s keeps of its password, lest the host be refused when it comes again with another one (k3s itself forgets it since 1.20).
 */
export async function deleteNode(entry: Host, name: string, signal?: AbortSignal): Promise<void> {
  await kubectl(entry, '', ['delete', 'node', name, '--ignore-not-found', '--timeout=90s'], {
    signal,
    timeoutMs: 120_000,
    title: `deleting node ${name}`,
  });
  await kubectl(
    entry,
    '',
    ['-n', 'kube-system', 'delete', 'secret', `${name}.node-password.k3s`, '--ignore-not-found'],
    {
      signal,
      title: `forgetting the password of node ${name}`,
    },
  );
}
