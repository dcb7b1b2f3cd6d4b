import { isSlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { ClusterContext, ClusterNode, DriverStep, UpgradeOptions } from '../driver.js';
import { upgradeProblem } from '../kubernetes/version.js';
import { waitFor } from '../wait.js';
import { backUpInto } from './backup.js';
import { drainNode, entryMaster, k0sFacts, listNodes, nodeOf, sharedOptions } from './cluster.js';
import { kubectl } from './commands.js';
import { severalMastersProblem } from './config.js';
import { apiServerReady, k0sLog, k0sStatus, kubeletRuns } from './health.js';
import { type K0sRole, PATHS, UNITS } from './paths.js';
import { prepareHost } from './prepare.js';
import { installService, startService, stopService } from './service.js';
import { isKubeletOf, isSameVersion, k0sAbilities, parseK0sVersion } from './versions.js';

/**
 * Takes one node to the k0s of the image: drained, stopped, set up anew by the image's scripts, its k0s exchanged and seen to be the right
 * one, its service installed again, started, and given back when it is Ready. Before the first master changes, a backup is made.
 * Each part may be done again, so that a killed upgrade goes on.
 * Source: k0s, docs/upgrade.md; k0sctl, phase/upgrade_controllers.go and upgrade_workers.go.
 */
export function upgradeStep(host: Host, cluster: ClusterContext, options: UpgradeOptions): DriverStep {
  const { version } = cluster;
  const entry = entryMaster(cluster);
  const { from, setUp, drainTimeoutMs, readyTimeoutMs } = options;
  const role: K0sRole = cluster.masters.some(({ address }) => address === host.address) ? 'controller' : 'worker';
  return {
    title: from === version ? `set up anew (${version})` : `upgrade from ${from || 'an unknown version'} to ${version}`,
    async done() {
      const node = nodeOf(await listNodes(entry), host);
      if (node?.ready !== true || node.unschedulable || !isKubeletOf(node.version, version)) return false;
      if (!isSameVersion((await k0sStatus(host))?.version ?? '', version)) return false;
      return role === 'worker' || (await apiServerReady(host));
    },
    async run(note, signal) {
      const nodes = await listNodes(entry);
      const node = nodeOf(nodes, host);
      if (node === undefined) {
        // Its join broke off: what follows in the plan joins it, with what it is set up with now.
        await setUp(signal);
        return;
      }
      if (role === 'controller') await backUp(host, cluster, note, signal);
      const others = nodes.some((other) => other.name !== node.name && other.ready && !other.unschedulable);
      const drained = drainTimeoutMs > 0 && others;
      if (drained) await drainNode(entry, cluster, node, drainTimeoutMs, signal);
      else if (drainTimeoutMs > 0) note(`${node.name} is not drained: there is no other node for its pods`);
      await stopService(host, role, signal);
      try {
        await setUp(signal);
        await prepareHost(host, role, cluster, note, signal);
        await installService(
          host,
          version,
          {
            address: host.address,
            role,
            ...sharedOptions(cluster),
            // The first controller never had one.
            token: await host.exists(PATHS.token),
          },
          signal,
        );
      } catch (error) {
        // Perhaps the only master: one that runs, whichever k0s it has by now, is better than one that is down.
        await startService(host, role).catch(() => undefined);
        throw error;
      }
      await startService(host, role, signal);
      await waitUntilUpgraded(host, role, cluster, node, readyTimeoutMs, signal);
      // Also when it is somebody else who cordoned it: an upgrade that was killed cannot be told from that.
      if (drained || node.unschedulable) await kubectl(entry, '', ['uncordon', node.name], { signal });
    },
  };
}

/**
 * Why the cluster cannot go to the version in the context; undefined when it can. Every k0s that runs is asked; a host that does not answer
 * is asked for when it is its turn.
 */
export async function clusterUpgradeProblem(cluster: ClusterContext): Promise<string | undefined> {
  const { version, masters, workers } = cluster;
  // Throws for what cannot be installed at all.
  k0sAbilities(version);
  const masterProblem = severalMastersProblem(k0sFacts(cluster));
  if (masterProblem !== undefined) return masterProblem;
  const { results } = await tryOnHosts([...masters, ...workers], k0sStatus);
  for (const [address, status] of results) {
    const problem = status && k0sUpgradeProblem(status.version, version);
    if (problem !== undefined) return `${address}: ${problem}`;
  }
  return undefined;
}

/** Kubernetes' rules, which k0s has too: no minor version is skipped, none is gone back. Pure. */
export function k0sUpgradeProblem(from: string, to: string): string | undefined {
  const [before, after] = [parseK0sVersion(from), parseK0sVersion(to)];
  return upgradeProblem(`v${before.version}`, `v${after.version}`)
    ?.replace(`v${before.version}`, from)
    .replace(`v${after.version}`, to);
}

/** Before the first master is changed, what the cluster has is kept beside the rootfs of that host, for root alone. */
async function backUp(
  host: Host,
  { rootfs, version, masters }: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const { results } = await tryOnHosts(masters, k0sStatus);
  const versions = [...results.values()].flatMap((status) => (status === undefined ? [] : [status.version]));
  // One that is new already: the backup was made before that.
  if (versions.length === 0 || versions.some((one) => isSameVersion(one, version))) return;
  const base = rootfs.slice(0, rootfs.lastIndexOf('/'));
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  const dir = `${base}/k0s-before-${version}-${time}`;
  const elsewhere = await backUpInto(host, dir, signal);
  // State in a database of the user's is the user's to keep.
  note(
    elsewhere === undefined
      ? `the state of the cluster as it was is in ${dir} of ${host.address}`
      : `no backup: ${elsewhere}`,
  );
}

async function waitUntilUpgraded(
  host: Host,
  role: K0sRole,
  cluster: ClusterContext,
  { name }: ClusterNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const { version } = cluster;
  const entry = entryMaster(cluster);
  const ask = async (): Promise<true | undefined> => {
    if (!isSameVersion((await k0sStatus(host))?.version ?? '', version)) return undefined;
    if (role === 'controller' && !(await apiServerReady(host))) return undefined;
    // For some time after its kubelet ended, a node is called Ready still.
    if (!(await kubeletRuns(host))) return undefined;
    const node = (await listNodes(entry)).find((one) => one.name === name);
    return node?.ready === true && isKubeletOf(node.version, version) ? true : undefined;
  };
  await waitFor(
    // The API server that is asked may be the one that is just coming up.
    () =>
      ask().catch((error: unknown) => {
        if (isSlipwayError(error, 'E_HOST_COMMAND')) return undefined;
        throw error;
      }),
    {
      what: `node ${name} to be Ready with k0s ${version}`,
      timeoutMs,
      intervalMs: 2000,
      signal,
      explain: () => k0sLog(host, role),
      hint: `look at "journalctl -u ${UNITS[role]}" on ${host.address}; no other node is touched until it is mended`,
    },
  );
}
