import semver from 'semver';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, ClusterNode, DriverStep, UpgradeOptions } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { upgradeProblem } from '../kubernetes/version.js';
import { waitFor } from '../wait.js';
import { drainNode, listNodes } from './cluster.js';
import { readClusterConfiguration } from './cluster-configuration.js';
import { kubectl } from './commands.js';
import { hasOwnEtcd, saveSnapshot } from './etcd.js';
import { apiServerReady, kubeletLog } from './health.js';

const UPGRADE_TIMEOUT_MS = 20 * 60_000;

/**
 * Takes one node to the version of the image: `kubeadm upgrade apply` for the first master (after a snapshot of etcd), `kubeadm upgrade
 * node` for the others; then drained, set up anew by the image's scripts, kubelet started, and given back when it is Ready.
 * Each part may be done again, so that a killed upgrade goes on.
 * Source: Kubernetes, "Upgrading kubeadm clusters".
 */
export function upgradeStep(host: Host, cluster: ClusterContext, options: UpgradeOptions): DriverStep {
  const { rootfs, version } = cluster;
  const entry = entryMaster(cluster);
  const { from, setUp, drainTimeoutMs, readyTimeoutMs } = options;
  return {
    title: from === version ? `set up anew (${version})` : `upgrade from ${from || 'an unknown version'} to ${version}`,
    async done() {
      const node = nodeOf(await listNodes(entry, rootfs), host);
      if (node?.ready !== true || node.version !== version || node.unschedulable) return false;
      return !node.controlPlane || (await runsVersion(host, version));
    },
    async run(note, signal) {
      const nodes = await listNodes(entry, rootfs);
      const node = nodeOf(nodes, host);
      if (node === undefined) {
        // Its join broke off: what follows in the plan joins it, with what it is set up with now.
        await setUp(signal);
        return;
      }
      await upgradeComponents(host, cluster, node, note, signal);
      const others = nodes.some((other) => other.name !== node.name && other.ready && !other.unschedulable);
      const drained = drainTimeoutMs > 0 && others;
      if (drained) await drainNode(entry, cluster, node, drainTimeoutMs, signal);
      else if (drainTimeoutMs > 0) note(`${node.name} is not drained: there is no other node for its pods`);
      await setUp(signal);
      // When it does not start, the wait below says what it wrote, which systemctl does not.
      await onHost(host, rootfs, 'systemctl daemon-reload && systemctl restart kubelet.service', {
        signal,
        allowFailure: true,
        timeoutMs: 60_000,
      });
      await waitUntilUpgraded(host, cluster, node, readyTimeoutMs, signal);
      // Also when it is somebody else who cordoned it: an upgrade that was killed cannot be told from that.
      if (drained || node.unschedulable) await kubectl(entry, rootfs, ['uncordon', node.name], { signal });
    },
  };
}

/** {@link upgradeProblem} of everything that runs: the control plane and every kubelet. */
export async function clusterUpgradeProblem(cluster: ClusterContext): Promise<string | undefined> {
  const { rootfs, version } = cluster;
  const entry = entryMaster(cluster);
  const { kubernetesVersion: current } = await readClusterConfiguration(entry, rootfs);
  const ofControlPlane = upgradeProblem(current, version);
  if (ofControlPlane !== undefined) return ofControlPlane;
  for (const { name, version: kubelet } of await listNodes(entry, rootfs)) {
    const problem = kubelet === '' ? undefined : upgradeProblem(kubelet, version);
    if (problem !== undefined) return `node ${name}: ${problem}`;
  }
  return undefined;
}

/** Whether the API server of a master is of this version: what its manifest says is what kubelet runs. */
async function runsVersion(master: Host, version: string): Promise<boolean> {
  const manifest = (await master.readFile('/etc/kubernetes/manifests/kube-apiserver.yaml'))?.toString('utf8') ?? '';
  return manifest.includes(`kube-apiserver:${version}\n`);
}

/** What runs in pods: API server, controllers, etcd, add-ons; on workers only kubelet's configuration. Nothing when it is done. */
async function upgradeComponents(
  host: Host,
  cluster: ClusterContext,
  { controlPlane, version: kubelet }: ClusterNode,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { rootfs, version } = cluster;
  const kubeadm = shellQuote(`${rootfs}/bin/kubeadm`);
  const { kubernetesVersion: current } = await readClusterConfiguration(entryMaster(cluster), rootfs, signal);
  if (controlPlane && current !== version) {
    const problem = upgradeProblem(current, version);
    if (problem !== undefined) throw new SlipwayError('E_CLUSTER_STATE', problem);
    await snapshot(host, cluster, current, note, signal);
    const back = semver.lt(version, current) ? ' --force' : '';
    await onHost(
      host,
      rootfs,
      `${kubeadm} upgrade apply ${shellQuote(version)} --yes${back} --ignore-preflight-errors=CreateJob,SystemVerification`,
      { signal, timeoutMs: UPGRADE_TIMEOUT_MS, title: 'kubeadm upgrade apply' },
    );
  } else if (kubelet !== version || (controlPlane && !(await runsVersion(host, version)))) {
    await onHost(host, rootfs, `${kubeadm} upgrade node`, {
      signal,
      timeoutMs: UPGRADE_TIMEOUT_MS,
      title: 'kubeadm upgrade node',
    });
  }
}

/** Before the first master changes anything: what etcd has now, beside the rootfs of that host. */
async function snapshot(
  host: Host,
  { rootfs }: ClusterContext,
  version: string,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await hasOwnEtcd(host))) return;
  const node = nodeOf(await listNodes(host, rootfs), host)?.name;
  if (node === undefined) return;
  // Each its own: one that is made while a broken upgrade goes on must not replace what was before it.
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  const file = `${rootfs.slice(0, rootfs.lastIndexOf('/'))}/etcd-before-${version}-${time}.db`;
  await saveSnapshot({ host, rootfs, node }, file, signal);
  note(`etcd as it was is in ${file}`);
}

async function waitUntilUpgraded(
  host: Host,
  cluster: ClusterContext,
  { name, controlPlane }: ClusterNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const { rootfs, version } = cluster;
  const entry = entryMaster(cluster);
  const ask = async (): Promise<true | undefined> => {
    const node = (await listNodes(entry, rootfs)).find((one) => one.name === name);
    if (node?.ready !== true || node.version !== version) return undefined;
    return !controlPlane || (await apiServerReady(host, rootfs)) ? true : undefined;
  };
  await waitFor(
    // The API server that is asked may be the one that is just being replaced.
    () =>
      ask().catch((error: unknown) => {
        if (isSlipwayError(error, 'E_HOST_COMMAND')) return undefined;
        throw error;
      }),
    {
      what: `node ${name} to be Ready with ${version}`,
      timeoutMs,
      intervalMs: 2000,
      signal,
      explain: () => kubeletLog(host),
      hint: `look at "journalctl -u kubelet" on ${host.address}; no other node is touched until it is mended`,
    },
  );
}
