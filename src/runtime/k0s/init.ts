import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { isReadyNode } from '../kubernetes/masters.js';
import { failWhenItEndsAgain } from '../kubernetes/restarts.js';
import { waitFor } from '../wait.js';
import { listNodes, nodeOf, sharedOptions } from './cluster.js';
import { apiServerReady, findRemains, k0sLog, markComplete } from './health.js';
import { writeRootKubeconfig } from './kubeconfig.js';
import { type K0sRole, UNITS } from './paths.js';
import { checkMasters, prepareHost } from './prepare.js';
import { k0sReset } from './reset.js';
import { installService, startService, waitUntilRunning } from './service.js';

/** Images may have to be unpacked, and a slow disk be waited for; less than a join token lives. */
const START_TIMEOUT_MS = 12 * 60_000;

/** How long a node may take to come up: as whoever gives the command says, or as the driver thinks right. */
export function startTimeout({ nodeTimeoutMs }: Pick<ClusterContext, 'nodeTimeoutMs'>): number {
  return nodeTimeoutMs ?? START_TIMEOUT_MS;
}

/**
 * The first controller.
 *
 * Done means: it came to its end (a file says so), its API server is ready, and the node is registered. A start that broke half way is
 * cleaned and begun again; one that came to its end is never reset from here, whatever state it is in.
 */
export function initStep(first: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'k0s install controller',
    async done() {
      if (!(await findRemains(first)).complete) return false;
      return isReadyNode(first, { ready: () => apiServerReady(first), nodes: () => listNodes(first) });
    },
    async run(note, signal) {
      checkMasters(cluster);
      const timeoutMs = startTimeout(cluster);
      const remains = await findRemains(first);
      if (remains.complete) {
        await startService(first, 'controller', signal);
        await waitForApiServer(first, { timeoutMs, signal });
        await waitForNode(first, first, 'controller', { timeoutMs, signal });
        return;
      }
      if (remains.leftovers) await k0sReset(first, signal);
      await prepareHost(first, 'controller', cluster, note, signal);
      await installService(
        first,
        cluster.version,
        { address: first.address, role: 'controller', ...sharedOptions(cluster), token: false },
        signal,
      );
      const since = await startService(first, 'controller', signal);
      await waitUntilRunning(first, 'controller', cluster.version, { since, timeoutMs, signal });
      await waitForApiServer(first, { timeoutMs, signal });
      await waitForNode(first, first, 'controller', { timeoutMs, signal });
      await writeRootKubeconfig(first, note);
      await markComplete(first, cluster.name);
    },
  };
}

interface Patience {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @throws SlipwayError E_TIMEOUT, or E_HOST_COMMAND when it ends again and again, with the last words of k0s */
export async function waitForApiServer(master: Host, { timeoutMs, signal }: Patience): Promise<void> {
  const what = `the API server of ${master.address}`;
  const log = () => k0sLog(master, 'controller');
  await waitFor(
    async () => {
      if (await apiServerReady(master)) return true;
      await failWhenItEndsAgain(master, UNITS.controller, { what, log });
      return undefined;
    },
    {
      what,
      timeoutMs,
      intervalMs: 2000,
      signal,
      explain: log,
      hint: `look at "journalctl -u ${UNITS.controller}" on ${master.address}`,
    },
  );
}

/** @throws SlipwayError E_TIMEOUT with the last words of the k0s on the host */
export async function waitForNode(
  entry: Host,
  host: Host,
  role: K0sRole,
  { timeoutMs, signal }: Patience,
): Promise<void> {
  await waitFor(async () => nodeOf(await listNodes(entry), host), {
    what: `${host.address} to be registered as a node`,
    timeoutMs,
    intervalMs: 2000,
    signal,
    explain: () => k0sLog(host, role),
    hint: `look at "journalctl -u ${UNITS[role]}" on ${host.address}`,
  });
}
