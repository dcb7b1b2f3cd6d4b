import { isIPv6 } from 'node:net';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { isAtLeast } from '../kubernetes/version.js';
import { waitFor } from '../wait.js';
import { leadTo, preferredServers } from './balancer.js';
import { listNodes } from './cluster.js';
import { kubectl } from './commands.js';
import { containerdSocket, controlPlaneEndpoint, joinConfig, uploadCertsConfig } from './config.js';
import { hasOwnEtcd, removeMember } from './etcd.js';
import { kubeadmFacts } from './facts.js';
import { apiServerReady, findRemains, JOIN_SECRETS, kubeletLog, markComplete, reviveApiServer } from './health.js';
import { PATHS } from './paths.js';
import { kubeadmReset } from './reset.js';
import { writeRootKubeconfig } from './root-kubeconfig.js';
import { bootstrapKubeconfig, newCertificateKey, readCa, withJoinToken } from './tokens.js';

const JOIN_TIMEOUT_MS = 10 * 60_000;
const REGISTER_TIMEOUT_MS = 2 * 60_000;
const CONTROLLERS_TIMEOUT_MS = 2 * 60_000;

/** `kubeadm join` of a worker. Done means: the cluster knows the node, and kubelet has its identity and runs. */
export function joinWorkerStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'kubeadm join',
    done: () => hasJoined(host, cluster),
    async run(_note, signal) {
      await leadTo(host, preferredServers(host, cluster), cluster);
      if (!(await makeRoom(host, cluster, false, signal))) await join(host, cluster, undefined, signal);
      await waitUntilRegistered(host, cluster, signal);
    },
  };
}

/**
 * `kubeadm join --control-plane`: a further master. Done means that its own API server is ready, besides what it means for a worker.
 * The certificates travel encrypted through the cluster with a key that is made for this join.
 */
export function joinMasterStep(host: Host, cluster: ClusterContext): DriverStep {
  const { rootfs } = cluster;
  return {
    title: 'kubeadm join as control plane',
    async done() {
      if (!(await findRemains(host)).complete) return false;
      return (await hasJoined(host, cluster, true)) && (await apiServerReady(host, rootfs));
    },
    async run(note, signal) {
      const entry = entryMaster(cluster);
      const joined = await hasJoined(host, cluster, true);
      if (!joined) {
        // Its own API server is asked when it is a whole one, not while it comes up.
        await leadTo(host, [entry.address], cluster);
        if (!(await makeRoom(host, cluster, true, signal))) {
          await join(host, cluster, await uploadCertificates(entry, cluster, signal), signal);
        }
        await waitUntilRegistered(host, cluster, signal);
      }
      await reviveApiServer(host, rootfs, signal);
      await writeRootKubeconfig(host, note);
      await markComplete(host, cluster.name);
      await leadTo(host, preferredServers(host, cluster), cluster);
    },
  };
}

async function hasJoined(host: Host, cluster: ClusterContext, asMaster = false): Promise<boolean> {
  const entry = entryMaster(cluster);
  const remains = await findRemains(host);
  if (!remains.kubeletConfigured || !remains.kubeletActive || remains.joinSecrets) return false;
  if (!(await entry.exists(PATHS.admin))) return false;
  const node = nodeOf(await listNodes(entry, cluster.rootfs), host);
  return node !== undefined && (!asMaster || node.controlPlane);
}

/**
 * Makes a host ready to join: what a broken attempt left is reset, and a node object of an earlier life is deleted.
 * True when the host is a registered node whose kubelet had only stopped: it is started, and there is nothing to join.
 */
async function makeRoom(
  host: Host,
  cluster: ClusterContext,
  asMaster: boolean,
  signal?: AbortSignal,
): Promise<boolean> {
  const { rootfs } = cluster;
  const entry = entryMaster(cluster);
  const [remains, nodes] = await Promise.all([findRemains(host), listNodes(entry, rootfs)]);
  const node = nodeOf(nodes, host);
  // A master is marked as one at the very end of its join; without the mark it broke off on the way.
  if (node !== undefined && remains.kubeletConfigured && (!asMaster || node.controlPlane)) {
    // A join that was killed has left its secrets.
    await onHost(
      host,
      rootfs,
      `systemctl enable -q kubelet.service && systemctl start kubelet.service && rm -f ${JOIN_SECRETS.join(' ')}`,
      { signal },
    );
    // The last thing that kubeadm does, and upgrades ask for it. What is said already stays.
    const socket = `kubeadm.alpha.kubernetes.io/cri-socket=${containerdSocket(cluster.version)}`;
    await kubectl(entry, rootfs, ['annotate', 'node', node.name, socket], {
      allowFailure: true,
      signal,
      title: 'noting the socket of the container runtime',
    });
    return true;
  }
  // What is on a whole master is a cluster, perhaps the only copy of it, whatever the one that is asked knows.
  if (remains.complete) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${host.address} is a master that was set up to its end, and ${entry.address} does not know it as one; nothing was changed on it`,
      {
        hint: `see which of the two has the cluster: "kubectl get nodes" and "etcdctl member list" on both; "systemctl restart kubelet" on ${host.address} registers a node that was deleted, "slipway delete --masters ${host.address}" takes it out`,
      },
    );
  }
  // While its etcd is alive: of two members one alone could not agree on it.
  if (asMaster) await forgetMember(host, cluster, signal);
  if (remains.leftovers) await kubeadmReset(host, rootfs, signal);
  if (node !== undefined) {
    await kubectl(entry, rootfs, ['delete', 'node', node.name, '--ignore-not-found'], { signal });
  }
  return false;
}

/** An attempt that broke may have left a member of etcd that never comes: with two of them the next one would lose the quorum. */
async function forgetMember(host: Host, { rootfs, ...cluster }: ClusterContext, signal?: AbortSignal): Promise<void> {
  const entry = entryMaster({ rootfs, ...cluster });
  const node = nodeOf(await listNodes(entry, rootfs), entry)?.name;
  if (node === undefined || !(await hasOwnEtcd(entry))) return;
  await removeMember({ host: entry, rootfs, node }, host.address, signal);
}

async function join(
  host: Host,
  cluster: ClusterContext,
  certificateKey: string | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const { rootfs } = cluster;
  const entry = entryMaster(cluster);
  const [ca] = await Promise.all([readCa(entry), waitForControllers(entry, cluster, signal)]);
  const facts = kubeadmFacts(cluster);
  const { file, flags } = joinConfig(facts, host.address, certificateKey);
  const { name, port } = controlPlaneEndpoint(facts);
  await withJoinToken(entry, rootfs, { signal }, async (token) => {
    const discovery = bootstrapKubeconfig(`https://${isIPv6(name) ? `[${name}]` : name}:${port}`, ca, token);
    await withSecretFiles(host, { [PATHS.joinConfig]: file, [PATHS.discovery]: discovery }, () =>
      onHost(host, rootfs, ['kubeadm', 'join', `--config=${PATHS.joinConfig}`, ...flags].map(shellQuote).join(' '), {
        signal,
        timeoutMs: JOIN_TIMEOUT_MS,
        title: 'kubeadm join',
      }),
    );
  });
  await onHost(host, rootfs, 'systemctl enable -q kubelet.service', { timeoutMs: 60_000 });
}

/**
 * Waits until a controller manager leads: it signs what kubelet asks for, and kubeadm gives kubelet two minutes for all of it, of which a
 * slow start of the cluster would leave too little. Without an answer (it need not be elected) the join itself will tell. Before 1.17
 * there is no lease (kubernetes/kubernetes#84084).
 */
async function waitForControllers(
  entry: Host,
  { rootfs, version }: ClusterContext,
  signal?: AbortSignal,
): Promise<void> {
  if (!isAtLeast(version, '1.17')) return;
  const ask = ['-n', 'kube-system', 'get', 'lease', 'kube-controller-manager', '-o', 'jsonpath={.spec.holderIdentity}'];
  try {
    await waitFor(
      async () => {
        const { code, stdout } = await kubectl(entry, rootfs, ask, {
          allowFailure: true,
          signal,
          title: 'asking who leads the controllers',
        });
        return code === 0 && stdout.trim() !== '' ? true : undefined;
      },
      { what: 'a controller manager', timeoutMs: CONTROLLERS_TIMEOUT_MS, signal },
    );
  } catch (error) {
    if (!isSlipwayError(error, 'E_TIMEOUT')) throw error;
  }
}

/** Puts the control plane's certificates, encrypted, into the cluster (they expire there after two hours) and gives the key. */
async function uploadCertificates(first: Host, cluster: ClusterContext, signal?: AbortSignal): Promise<string> {
  const key = newCertificateKey();
  const { file } = uploadCertsConfig(kubeadmFacts(cluster), first.address, key);
  await withSecretFiles(first, { [PATHS.uploadCertsConfig]: file }, () =>
    onHost(
      first,
      cluster.rootfs,
      `kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print --config=${PATHS.uploadCertsConfig}`,
      { signal, timeoutMs: 120_000, title: 'kubeadm init phase upload-certs' },
    ),
  );
  return key;
}

async function waitUntilRegistered(host: Host, cluster: ClusterContext, signal?: AbortSignal): Promise<void> {
  const entry = entryMaster(cluster);
  await waitFor(async () => nodeOf(await listNodes(entry, cluster.rootfs), host), {
    what: `${host.address} to be registered as a node`,
    timeoutMs: REGISTER_TIMEOUT_MS,
    signal,
    explain: () => kubeletLog(host),
    hint: `look at "journalctl -u kubelet" on ${host.address}`,
  });
}

/** Does some work with files by their paths that are there only meanwhile; a directory that is empty afterwards goes with them. */
async function withSecretFiles<T>(
  host: Host,
  files: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  const paths = Object.keys(files);
  const directories = [...new Set(paths.map((path) => path.slice(0, path.lastIndexOf('/'))))];
  try {
    const written = await Promise.allSettled(
      Object.entries(files).map(([path, content]) => host.writeFile(path, content, { mode: 0o600 })),
    );
    for (const one of written) if (one.status === 'rejected') throw one.reason;
    return await work();
  } finally {
    await host
      .run(`rm -f ${paths.join(' ')}\nrmdir ${directories.join(' ')} 2>/dev/null\ntrue`, {
        allowFailure: true,
        timeoutMs: 30_000,
      })
      .catch(() => undefined);
  }
}
