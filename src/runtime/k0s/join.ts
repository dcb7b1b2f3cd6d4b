import { setTimeout as sleep } from 'node:timers/promises';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { failWhenItEndsAgain } from '../kubernetes/restarts.js';
import { waitFor } from '../wait.js';
import { entryMaster, listNodes, nodeOf, sharedOptions } from './cluster.js';
import { kubectl } from './commands.js';
import { leaveEtcd } from './etcd.js';
import { apiServerReady, findRemains, type K0sRemains, k0sLog, k0sStatus, markComplete } from './health.js';
import { startTimeout, waitForApiServer, waitForNode } from './init.js';
import { writeRootKubeconfig } from './kubeconfig.js';
import { type K0sRole, UNITS } from './paths.js';
import { checkMasters, prepareHost } from './prepare.js';
import { k0sReset } from './reset.js';
import { installService, startService, stopService, waitUntilRunning } from './service.js';
import { hasLeftToken, takeLeftTokenBack, withJoinToken } from './tokens.js';

/**
 * What the log of a k0s says whose token the cluster does not take (any more). Others of its programs say "Unauthorized" too, while they
 * come up.
 */
const REFUSED =
  /(?:failed to (?:join|bootstrap)|certificate signing request).*(?:unauthorized|client to provide credentials|go away|token (?:is |has )?expired|invalid (?:bearer )?token)/i;
const LOG_LINES = 40;
/** How long a controller that an earlier attempt has started may take to come up by itself. */
const COMES_UP_TIMEOUT_MS = 90_000;
const COMES_UP_INTERVAL_MS = 2000;

/** A further worker. Done means: the cluster knows the node, and k0s has its identity and runs. */
export function joinWorkerStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'k0s install worker',
    done: () => hasJoined(host, 'worker', cluster),
    run: (note, signal) => joinAs(host, 'worker', cluster, note, signal),
  };
}

/** A further controller. Done means that its own API server is ready, besides what it means for a worker. */
export function joinMasterStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'k0s install controller with a token',
    done: async () => (await hasJoined(host, 'controller', cluster)) && (await apiServerReady(host)),
    async run(note, signal) {
      checkMasters(cluster);
      await joinAs(host, 'controller', cluster, note, signal);
      await waitForApiServer(host, { timeoutMs: startTimeout(cluster), signal });
      await writeRootKubeconfig(host, note);
      await markComplete(host, cluster.name);
    },
  };
}

/** A host whose join was killed may have joined by itself; with a token left on it, there is something to do. */
async function hasJoined(host: Host, role: K0sRole, cluster: ClusterContext): Promise<boolean> {
  const [remains, left] = await Promise.all([findRemains(host), hasLeftToken(host)]);
  if (left || (role === 'controller' && !remains.complete)) return false;
  if (!remains.kubeletConfigured || !remains.active.includes(role)) return false;
  return nodeOf(await listNodes(entryMaster(cluster)), host) !== undefined;
}

async function joinAs(
  host: Host,
  role: K0sRole,
  cluster: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const entry = entryMaster(cluster);
  if (await makeRoom(host, role, cluster, signal)) {
    await startService(host, role, signal);
  } else {
    await prepareHost(host, role, cluster, note, signal);
    for (let tries = 1; (await join(host, role, cluster, tries, signal)) === 'refused'; tries++) {
      note('the cluster did not take the join token (it may have expired on the way); a new one is made');
    }
  }
  await waitForNode(entry, host, role, { timeoutMs: startTimeout(cluster), signal });
}

/**
 * Makes a host ready to join: what a broken attempt left is removed, its token too, and a node object of an earlier life is deleted.
 * True when the host is a registered node whose k0s runs or had only stopped: there is nothing to join.
 */
async function makeRoom(host: Host, role: K0sRole, cluster: ClusterContext, signal?: AbortSignal): Promise<boolean> {
  const entry = entryMaster(cluster);
  const remains = await remainsAtRest(host, role, entry, signal);
  const node = nodeOf(await listNodes(entry), host);
  // A master is marked as one at the very end of its join; without the mark it may have broken off on the way, and still come up.
  const whole = remains.kubeletConfigured && remains.installed.includes(role);
  const joined = node !== undefined && whole && (role === 'worker' || remains.complete || (await comesUp(host)));
  // What is on a whole master is a cluster, perhaps the only copy of it, whatever the one that is asked knows.
  if (!joined && remains.complete) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${host.address} is a master that was set up to its end, and ${entry.address} does not know it as one; nothing was changed on it`,
      {
        hint: `see which of the two has the cluster: "k0s kubectl get nodes" and "k0s etcd member-list" on both; "systemctl restart k0scontroller" on ${host.address} registers a node that was deleted, "slipway delete --masters ${host.address}" takes it out`,
      },
    );
  }
  // Here, and not when it is made anew: a reset takes away the file that says which one it was.
  await takeLeftTokenBack(entry, host, signal);
  if (joined) return true;
  // A member of etcd that never comes: with two of them the next one would lose the quorum. While its etcd is alive, for the same reason.
  if (role === 'controller') await leaveEtcd(entry, host.address, signal);
  if (remains.leftovers) await k0sReset(host, signal);
  if (node !== undefined) {
    await kubectl(entry, '', ['delete', 'node', node.name, '--ignore-not-found'], { signal });
  }
  return false;
}

/**
 * What there is on a host, once a controller that is starting there has come up, has ended, or had its time. Whoever was killed right after
 * `k0s start` left one that goes on by itself, with its token, and makes itself a member of etcd at any moment: taking it out meanwhile is
 * refused by etcd, and stopping it then could cost the quorum.
 */
async function remainsAtRest(host: Host, role: K0sRole, entry: Host, signal?: AbortSignal): Promise<K0sRemains> {
  const end = Date.now() + COMES_UP_TIMEOUT_MS;
  for (;;) {
    const remains = await findRemains(host);
    const comes = role === 'controller' && !remains.complete && remains.active.includes(role);
    if (!comes || Date.now() >= end || signal?.aborted === true) return remains;
    // The cluster is asked last: while the new member is on its way, its etcd may have no quorum.
    const up = remains.kubeletConfigured && (await comesUp(host));
    if (up && nodeOf(await listNodes(entry), host) !== undefined) return remains;
    await sleep(COMES_UP_INTERVAL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
}

async function comesUp(host: Host): Promise<boolean> {
  return (await k0sStatus(host)) !== undefined && (await apiServerReady(host));
}

/**
 * One attempt with a token of its own. `refused` when the cluster did not take the token, at the first time.
 * @throws SlipwayError when it fails otherwise; k0s is stopped then, because without the token it would only try again for ever.
 */
async function join(
  host: Host,
  role: K0sRole,
  cluster: ClusterContext,
  tries: number,
  signal?: AbortSignal,
): Promise<'joined' | 'refused'> {
  const entry = entryMaster(cluster);
  const { version } = cluster;
  try {
    return await withJoinToken(entry, host, role, { signal }, async () => {
      await installService(
        host,
        version,
        { address: host.address, role, ...sharedOptions(cluster), token: true },
        signal,
      );
      const since = await startService(host, role, signal);
      const refused = await waitForJoin(host, role, cluster, since, signal);
      if (refused === undefined) return 'joined';
      await stopService(host, role, signal);
      if (tries === 1) return 'refused';
      throw new SlipwayError(
        'E_CLUSTER_STATE',
        `${host.address}: the cluster did not take two join tokens, the second made anew\n${refused}`,
        {
          hint: `compare the clocks of ${host.address} and ${entry.address}; "k0s token list" on ${entry.address} shows what it takes`,
        },
      );
    });
  } catch (error) {
    await stopService(host, role).catch(() => undefined);
    throw error;
  }
}

/** Until k0s runs and has used the token; what its log says when the token is refused. */
async function waitForJoin(
  host: Host,
  role: K0sRole,
  cluster: ClusterContext,
  since: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const entry = entryMaster(cluster);
  const used = async (): Promise<boolean> => {
    const remains = await findRemains(host);
    if (!remains.kubeletConfigured) return false;
    return role === 'worker' || (await apiServerReady(host));
  };
  const what = `${host.address} to join through ${entry.address}`;
  const outcome = await waitFor(
    async () => {
      if (await used()) return { refused: undefined };
      const log = await k0sLog(host, role, LOG_LINES, since);
      if (REFUSED.test(log)) return { refused: lastLines(log) };
      await failWhenItEndsAgain(host, UNITS[role], { what, log: async () => lastLines(log) });
      return undefined;
    },
    {
      what,
      timeoutMs: startTimeout(cluster),
      intervalMs: 2000,
      signal,
      explain: () => k0sLog(host, role),
      hint: `look at "journalctl -u ${UNITS[role]}" on ${host.address}; does it reach the ports 6443 and 9443 of ${entry.address}?`,
    },
  );
  if (outcome.refused === undefined) {
    await waitUntilRunning(host, role, cluster.version, { since, timeoutMs: startTimeout(cluster), signal });
  }
  return outcome.refused;
}

function lastLines(text: string): string {
  return text.split('\n').slice(-15).join('\n');
}
