import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode, DriverStep, NodeMarks } from '../driver.js';
import { drainNode as drain } from '../kubernetes/drain.js';
import { markStep as mark } from '../kubernetes/marks.js';
import { listNodes as list } from '../kubernetes/nodes.js';
import { kubectl } from './commands.js';

/** What is asked of the cluster's API, whichever way it was installed; here through the kubectl of the image. */
export function listNodes(master: Host, rootfs: string): Promise<readonly ClusterNode[]> {
  return list(master, rootfs, kubectl);
}

/** Gives nodes their labels and taints. */
export function markStep(first: Host, cluster: ClusterContext, marks: ReadonlyMap<string, NodeMarks>): DriverStep {
  return mark(first, cluster, marks, kubectl);
}

/** Lets the pods of a node go elsewhere. */
export function drainNode(
  entry: Host,
  cluster: ClusterContext,
  node: ClusterNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  return drain(entry, cluster, node, timeoutMs, signal, kubectl);
}
