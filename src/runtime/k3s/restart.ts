import type { Host } from '../../hosts/host.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { listNodes } from './cluster.js';
import { apiServerReady, startK3s, waitForK3s } from './health.js';

const BACK_TIMEOUT_MS = 10 * 60_000;

/** Starts the k3s of a master again, and waits until its API server, which asks etcd, and its node are well. Pods go on meanwhile. */
export async function restartServer(master: Host, signal?: AbortSignal): Promise<void> {
  await startK3s(master, 'server', 'restart', signal);
  await waitUntilBack(master, signal);
}

/** Waits until the k3s of a master is up, answers, and its node is Ready. */
export async function waitUntilBack(master: Host, signal?: AbortSignal): Promise<void> {
  await waitForK3s(master, 'server', async () => (await isActive(master)) && (await apiServerReady(master)), {
    what: `the API server of ${master.address} to be back`,
    timeoutMs: BACK_TIMEOUT_MS,
    signal,
  });
  await waitForK3s(master, 'server', async () => nodeOf(await listNodes(master), master)?.ready === true, {
    what: `the node of ${master.address} to be Ready again`,
    timeoutMs: BACK_TIMEOUT_MS,
    signal,
  });
}

/** `Type=notify`: it is active when it has said that all of it runs, kubelet too. */
async function isActive(master: Host): Promise<boolean> {
  const { code } = await master.run('systemctl is-active -q k3s.service', {
    allowFailure: true,
    timeoutMs: 30_000,
    title: 'looking whether k3s runs',
  });
  return code === 0;
}
