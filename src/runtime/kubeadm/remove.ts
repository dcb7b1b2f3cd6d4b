import { isMap, parseDocument } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode, DriverStep, RemoveOptions } from '../driver.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { quorumProblem } from '../kubernetes/quorum.js';
import { drainNode, listNodes } from './cluster.js';
import { kubectl } from './commands.js';
import { type EtcdPlace, etcdMembers, hasOwnEtcd, healthyMembers, removeMember } from './etcd.js';

/**
 * Takes a host out of the cluster: drained, as far as disruption budgets let it in time, its etcd member removed, then the node deleted.
 * Goes through the master that is asked, which must be another one; the host itself may be down (then there is nothing to drain).
 */
export function removeStep(host: Host, cluster: ClusterContext, { drainTimeoutMs }: RemoveOptions): DriverStep {
  const entry = entryMaster(cluster);
  const { rootfs } = cluster;
  return {
    title: 'take it out of the cluster',
    async done() {
      const nodes = await listNodes(entry, rootfs);
      if (nodeOf(nodes, host) !== undefined) return false;
      const etcd = await etcdPlace(entry, cluster, nodes);
      return etcd === undefined || (await etcdMembers(etcd)).every(({ address }) => address !== host.address);
    },
    async run(_note, signal) {
      const nodes = await listNodes(entry, rootfs);
      const node = nodeOf(nodes, host);
      const etcd = await etcdPlace(entry, cluster, nodes);
      // Asked again, now that it is its turn: another member may have died meanwhile.
      const problem = etcd === undefined ? undefined : await quorumOf(etcd, [host.address]);
      if (problem !== undefined) throw new SlipwayError('E_CLUSTER_STATE', `${host.address} stays: ${problem}`);
      if (node?.ready && drainTimeoutMs > 0) await drainNode(entry, cluster, node, drainTimeoutMs, signal);
      if (etcd !== undefined) await removeMember(etcd, host.address, signal);
      if (node === undefined) return;
      if (node.controlPlane) await forgetEndpoint(entry, cluster, node.name, signal);
      await kubectl(entry, rootfs, ['delete', 'node', node.name, '--ignore-not-found'], {
        signal,
        title: `deleting node ${node.name}`,
      });
    },
  };
}

/** Why these hosts cannot be taken out; undefined when they can. Asks the cluster, changes nothing. */
export async function removalProblem(hosts: readonly Host[], cluster: ClusterContext): Promise<string | undefined> {
  const entry = entryMaster(cluster);
  const etcd = await etcdPlace(entry, cluster, await listNodes(entry, cluster.rootfs));
  return etcd === undefined
    ? undefined
    : quorumOf(
        etcd,
        hosts.map(({ address }) => address),
      );
}

async function quorumOf(etcd: EtcdPlace, leaving: readonly string[]): Promise<string | undefined> {
  const members = await etcdMembers(etcd);
  // Asking a dead member for its health takes its time, and a worker is none.
  if (!members.some(({ address }) => leaving.includes(address))) return undefined;
  return quorumProblem(members, await healthyMembers(etcd), leaving);
}

/** Where etcd can be asked; undefined when it does not run on the masters. */
async function etcdPlace(
  entry: Host,
  { rootfs }: ClusterContext,
  nodes: readonly ClusterNode[],
): Promise<EtcdPlace | undefined> {
  const node = nodeOf(nodes, entry)?.name;
  if (node === undefined) throw new SlipwayError('E_CLUSTER_STATE', `${entry.address} is no node of the cluster`);
  return (await hasOwnEtcd(entry)) ? { host: entry, rootfs, node } : undefined;
}

const configMapSchema = z.looseObject({ data: z.record(z.string(), z.string()) });

/** kubeadm before 1.22 keeps a list of the masters, and later joins would look for the one that is gone. */
async function forgetEndpoint(
  entry: Host,
  { rootfs }: ClusterContext,
  node: string,
  signal?: AbortSignal,
): Promise<void> {
  const { stdout, code } = await kubectl(
    entry,
    rootfs,
    ['-n', 'kube-system', 'get', 'configmap', 'kubeadm-config', '-o', 'json'],
    { allowFailure: true, title: 'reading kubeadm-config', signal },
  );
  if (code !== 0) return;
  const config = configMapSchema.parse(JSON.parse(stdout));
  const status = withoutEndpoint(config.data.ClusterStatus ?? '', node);
  if (status === undefined) return;
  await kubectl(entry, rootfs, ['replace', '-f', '-'], {
    stdin: JSON.stringify({ ...config, data: { ...config.data, ClusterStatus: status } }),
    title: 'taking the master out of kubeadm-config',
    signal,
  });
}

/** A ClusterStatus without this node's endpoint; undefined when it has none. Pure. */
export function withoutEndpoint(clusterStatus: string, node: string): string | undefined {
  const document = parseDocument(clusterStatus);
  const endpoints = document.get('apiEndpoints');
  if (!isMap(endpoints) || !endpoints.has(node)) return undefined;
  endpoints.delete(node);
  return document.toString();
}
