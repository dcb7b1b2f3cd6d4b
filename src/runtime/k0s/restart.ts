import type { Host } from '../../hosts/host.js';
import { waitFor } from '../wait.js';
import { listNodes, nodeOf } from './cluster.js';
import { findRemains, k0sLog, kubeletRuns } from './health.js';
import { waitForApiServer } from './init.js';
import { UNITS } from './paths.js';
import { restartService } from './service.js';

const BACK_TIMEOUT_MS = 10 * 60_000;

/**
 * Starts the k0s of a master again, and waits until it is well: its API server, which asks etcd, and its node, where it is one. Pods go on
 * meanwhile.
 */
export async function restartController(master: Host, signal?: AbortSignal): Promise<void> {
  await restartService(master, 'controller', signal);
  await waitForApiServer(master, { timeoutMs: BACK_TIMEOUT_MS, signal });
  await waitFor(
    async () => {
      const node = nodeOf(await listNodes(master), master);
      // A controller that runs no pods.
      if (node === undefined && !(await findRemains(master)).kubeletConfigured) return true;
      // For some time after its kubelet ended, a node is called Ready still.
      return node?.ready === true && (await kubeletRuns(master)) ? true : undefined;
    },
    {
      what: `the node of ${master.address} to be Ready again`,
      timeoutMs: BACK_TIMEOUT_MS,
      intervalMs: 2000,
      signal,
      explain: () => k0sLog(master, 'controller'),
      hint: `look at "journalctl -u ${UNITS.controller}" on ${master.address}; no other host is touched until it is mended`,
    },
  );
}
