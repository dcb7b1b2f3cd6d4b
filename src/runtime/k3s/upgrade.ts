import type { Host } from '../../hosts/host.js';
import type { ClusterContext, ClusterNode, DriverStep, UpgradeOptions } from '../driver.js';
import { drainNode } from '../kubernetes/drain.js';
import { entryMaster } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { upgradeProblem } from '../kubernetes/version.js';
import { listNodes } from './cluster.js';
import { k3s, kubectl } from './commands.js';
import { membershipOf } from './config.js';
import { prepareHost } from './files.js';
import { apiServerReady, findRemains, startK3s, waitForK3s } from './health.js';
import { type K3sRole, PATHS } from './paths.js';
import { snapshotCommand } from './save-etcd.js';
import { k3sAbilities } from './versions.js';

/**
 * Takes one node to the version of the image: drained, set up anew by the image's scripts, k3s replaced and started again, and given back
 * when it is Ready. The master that is asked is the first, and keeps a snapshot of etcd before. Each part may be done again, so that a
 * killed upgrade goes on.
 * Source: k3s, "Manual upgrades" (servers one at a time, then agents).
 */
export function upgradeStep(host: Host, cluster: ClusterContext, options: UpgradeOptions): DriverStep {
  const { version } = cluster;
  const entry = entryMaster(cluster);
  const { from, setUp, drainTimeoutMs, readyTimeoutMs } = options;
  return {
    title: from === version ? `set up anew (${version})` : `upgrade from ${from || 'an unknown version'} to ${version}`,
    async done() {
      const node = nodeOf(await listNodes(entry), host);
      return node?.ready === true && node.version === version && !node.unschedulable;
    },
    async run(note, signal) {
      const nodes = await listNodes(entry);
      const node = nodeOf(nodes, host);
      const membership = membershipOf((await host.readFile(PATHS.config))?.toString('utf8') ?? '');
      if (node === undefined || membership === undefined) {
        // Its join broke off: what follows in the plan joins it, with what it is set up with now.
        await setUp(signal);
        return;
      }
      const role: K3sRole = node.controlPlane ? 'server' : 'agent';
      if (host.address === entry.address && node.version !== version) await snapshot(host, node, note, signal);
      const others = nodes.some((other) => other.name !== node.name && other.ready && !other.unschedulable);
      const drained = drainTimeoutMs > 0 && others;
      if (drained) await drainNode(entry, cluster, node, drainTimeoutMs, signal, kubectl);
      else if (drainTimeoutMs > 0) note(`${node.name} is not drained: there is no other node for its pods`);
      await setUp(signal);
      await prepareHost(host, role, membership, cluster, note, signal);
      await startK3s(host, role, 'restart', signal);
      await waitUntilUpgraded(host, role, cluster, node, readyTimeoutMs, signal);
      // Also when it is somebody else who cordoned it: an upgrade that was killed cannot be told from that.
      if (drained || node.unschedulable) await kubectl(entry, '', ['uncordon', node.name], { signal });
    },
  };
}

/** Why the cluster cannot be taken to the version in the context: no node may skip a minor version or go back one. */
export async function clusterUpgradeProblem(cluster: ClusterContext): Promise<string | undefined> {
  k3sAbilities(cluster.version);
  for (const { name, version } of await listNodes(entryMaster(cluster))) {
    const problem = version === '' ? undefined : upgradeProblem(version, cluster.version);
    if (problem !== undefined) return `node ${name}: ${problem}`;
  }
  return undefined;
}

/** Before the first master changes anything: what etcd has now, where k3s keeps its snapshots. SQLite has no such command. */
async function snapshot(
  host: Host,
  { version }: ClusterNode,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  if (!(await findRemains(host)).etcd) {
    const copy = `${PATHS.sqlite.slice(0, PATHS.sqlite.lastIndexOf('/'))}.before-${safe(version)}`;
    note(
      `SQLite is not copied while it is in use: stop k3s and copy ${PATHS.sqlite} to ${copy} by hand if you want to go back`,
    );
    return;
  }
  if (version === '' || !k3sAbilities(version).snapshots) return;
  const name = `before-${safe(version)}`;
  await k3s(host, snapshotCommand(version, ['--name', name]), {
    signal,
    timeoutMs: 15 * 60_000,
    title: 'k3s etcd-snapshot',
  });
  note(`etcd as it was is in ${PATHS.data}/server/db/snapshots/${name}-…`);
}

function safe(version: string): string {
  return version.replaceAll(/[^A-Za-z0-9.-]/g, '-');
}

async function waitUntilUpgraded(
  host: Host,
  role: K3sRole,
  cluster: ClusterContext,
  { name }: ClusterNode,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  const { version } = cluster;
  const ask = async (): Promise<boolean> => {
    const node = (await listNodes(entryMaster(cluster))).find((one) => one.name === name);
    if (node?.ready !== true || node.version !== version) return false;
    return role === 'agent' || (await apiServerReady(host));
  };
  await waitForK3s(host, role, ask, { what: `node ${name} to be Ready with ${version}`, timeoutMs, signal });
}
