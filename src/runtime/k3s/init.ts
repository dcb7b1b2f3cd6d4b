import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { isReadyNode } from '../kubernetes/masters.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { listNodes } from './cluster.js';
import { checkSeveralMasters } from './etcd.js';
import { prepareHost } from './files.js';
import { apiServerReady, findRemains, markComplete, startK3s, waitForK3s } from './health.js';
import { cleanHost } from './reset.js';

const START_TIMEOUT_MS = 10 * 60_000;

/**
 * The first server. Done means: it came up to its end (a file says so), the API server is ready, and the node is registered. A start that
 * broke off goes on where it is: k3s begins with the data that are there. What is of another kind (an agent's) is cleaned away before. A
 * server that came to its end is never cleaned from here, whatever state it is in.
 */
export function initStep(first: Host, cluster: ClusterContext): DriverStep {
  return {
    title: `start the first k3s server${cluster.masters.length > 1 ? ', with etcd' : ''}`,
    async done() {
      if (!(await findRemains(first)).complete) return false;
      return isReadyNode(first, { ready: () => apiServerReady(first), nodes: () => listNodes(first) });
    },
    async run(note, signal) {
      const remains = await findRemains(first);
      if (!remains.complete) {
        if (remains.installed.includes('agent')) await cleanHost(first, signal);
        const several = cluster.masters.length > 1;
        if (several) checkSeveralMasters(cluster);
        await prepareHost(first, 'server', { begins: several ? 'etcd' : 'alone' }, cluster, note, signal);
      }
      // One that is not whole yet has perhaps been started with other settings.
      await startK3s(first, 'server', remains.complete ? 'start' : 'restart', signal);
      await waitForServer(first, cluster.nodeTimeoutMs ?? START_TIMEOUT_MS, signal);
      await markComplete(first, cluster.name);
    },
  };
}

/** Waits until a server answers and its own node is registered. */
export async function waitForServer(host: Host, timeoutMs: number, signal?: AbortSignal): Promise<void> {
  await waitForK3s(host, 'server', () => apiServerReady(host), {
    what: `the API server of ${host.address}`,
    timeoutMs,
    signal,
  });
  await waitForK3s(host, 'server', async () => nodeOf(await listNodes(host), host) !== undefined, {
    what: `${host.address} to be registered as a node`,
    timeoutMs,
    signal,
  });
}
