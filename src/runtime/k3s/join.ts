import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { deleteNode, listNodes } from './cluster.js';
import { serverUrl } from './config.js';
import { ensureEtcd, etcdMembers, forgetMember } from './etcd.js';
import { prepareHost } from './files.js';
import { apiServerReady, findRemains, markComplete, startK3s, waitForK3s } from './health.js';
import { waitForServer } from './init.js';
import type { K3sRole } from './paths.js';
import { cleanHost } from './reset.js';
import { type JoinToken, readToken } from './tokens.js';

/** How long a node may take to come up where nobody says. */
const JOIN_TIMEOUT_MS = 10 * 60_000;

/** A worker. Done means: the cluster knows the node, and its agent runs. */
export function joinWorkerStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'start the k3s agent',
    async done() {
      const entry = entryMaster(cluster);
      const { active, kubeletConfigured } = await findRemains(host);
      return active.includes('agent') && kubeletConfigured && nodeOf(await listNodes(entry), host) !== undefined;
    },
    async run(note, signal) {
      const entry = entryMaster(cluster);
      await join(host, 'agent', cluster, note, signal);
      await waitForK3s(host, 'agent', async () => nodeOf(await listNodes(entry), host) !== undefined, {
        what: `${host.address} to be registered as a node`,
        timeoutMs: cluster.nodeTimeoutMs ?? JOIN_TIMEOUT_MS,
        signal,
      });
    },
  };
}

/** A further server, a member of etcd. Done means that its own API server is ready, besides what it means for a worker. */
export function joinMasterStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'start a k3s server that joins',
    async done() {
      const { complete, active } = await findRemains(host);
      if (!complete || !active.includes('server')) return false;
      const node = nodeOf(await listNodes(entryMaster(cluster)), host);
      return node?.controlPlane === true && (await apiServerReady(host));
    },
    async run(note, signal) {
      const entry = entryMaster(cluster);
      await ensureEtcd(entry, cluster, note, signal);
      await join(host, 'server', cluster, note, signal);
      await waitForServer(host, cluster.nodeTimeoutMs ?? JOIN_TIMEOUT_MS, signal);
      await waitForK3s(host, 'server', async () => nodeOf(await listNodes(entry), host)?.controlPlane === true, {
        what: `${host.address} to be a master of the cluster`,
        timeoutMs: cluster.nodeTimeoutMs ?? JOIN_TIMEOUT_MS,
        signal,
      });
      await markComplete(host, cluster.name);
    },
  };
}

/** Starts k3s on a host as a part of the cluster, whatever an attempt that broke off has left there. */
async function join(
  host: Host,
  role: K3sRole,
  cluster: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const entry = entryMaster(cluster);
  const token = await readToken(entry, role);
  await makeRoom(host, role, cluster, token, signal);
  await prepareHost(host, role, { server: serverUrl(entry.address), token: token.text }, cluster, note, signal);
  // One that an earlier attempt started goes on with what it has read, another token or another master, for as long as it likes.
  await startK3s(host, role, 'restart', signal);
}

/**
 * What is of this cluster and of this kind stays: k3s goes on with it, and a member of etcd that was added already is the one that comes.
 * Anything else is cleaned away, with the node of an earlier life, whose password the host would not know any more.
 */
async function makeRoom(
  host: Host,
  role: K3sRole,
  cluster: ClusterContext,
  { caHash }: JoinToken,
  signal?: AbortSignal,
): Promise<void> {
  const entry = entryMaster(cluster);
  const { complete, installed, serverData, etcd, caHash: own } = await findRemains(host);
  const node = nodeOf(await listNodes(entry), host);
  const other = installed.some((one) => one !== role) || (role === 'agent' && serverData);
  const stranger = own !== undefined && own !== caHash;
  // What is on a whole master is a cluster, perhaps the only copy of it, whatever the one that is asked knows.
  if (complete && (other || stranger || node === undefined)) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${host.address} is a master that was set up to its end, and ${entry.address} does not know it as one; nothing was changed on it`,
      {
        hint: `see which of the two has the cluster: "k3s kubectl get nodes" on both; "slipway delete --masters ${host.address}" takes it out`,
      },
    );
  }
  const useless = other || stranger || (role === 'server' && etcd && !complete && !(await isMember(entry, host)));
  if (useless) await cleanHost(host, signal);
  if (!useless && own !== undefined) return;
  if (node !== undefined) await deleteNode(entry, node.name, signal);
  if (role === 'server') await forgetMember(entry, host.address, 'that came', signal);
}

/** An etcd whose member was taken out meanwhile waits for the others for ever. */
async function isMember(entry: Host, { address }: Host): Promise<boolean> {
  return (await etcdMembers(entry)).some((member) => member.address === address);
}
