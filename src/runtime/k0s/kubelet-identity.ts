import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { hasEnded } from '../kubernetes/certificates.js';
import { waitFor } from '../wait.js';
import { listCertificates } from './certificates.js';
import { entryMaster } from './cluster.js';
import { k0sLog } from './health.js';
import { PATHS, UNITS } from './paths.js';
import { startService, stopService } from './service.js';
import { withJoinToken } from './tokens.js';

const TIMEOUT_MS = 180_000;

/** What k0s takes for an identity of its kubelet: without it, it asks for another one when it starts. */
const FORGET = `rm -f ${PATHS.kubelet} ${PATHS.kubeletPki}/kubelet-client-*`;

/**
 * Gives a kubelet a new identity whose own has ended: it renews it by itself only while it is good. A controller makes a token for its own
 * kubelet when that has none, at its next start, which a renewal is; a worker is given one, as when it joined. Done while the identity is good.
 * Source: k0s, cmd/controller (startWorker), pkg/component/worker/utils.go.
 */
export function reviveKubeletStep(host: Host, cluster: ClusterContext): DriverStep {
  return {
    title: 'give kubelet a new certificate',
    done: async () => !(await kubeletEnded(host)),
    async run(_note, signal) {
      if (cluster.masters.some(({ address }) => address === host.address)) {
        await host.run(FORGET, { title: 'forgetting the identity of kubelet', timeoutMs: 30_000 });
        return;
      }
      await withJoinToken(entryMaster(cluster), host, 'worker', { signal }, async () => {
        await stopService(host, 'worker', signal);
        await host.run(FORGET, { title: 'forgetting the identity of kubelet', timeoutMs: 30_000 });
        await startService(host, 'worker', signal);
        await waitFor(async () => ((await hasIdentity(host)) ? true : undefined), {
          what: `kubelet on ${host.address} to get a certificate`,
          timeoutMs: TIMEOUT_MS,
          intervalMs: 2000,
          signal,
          explain: () => k0sLog(host, 'worker'),
          hint: `"journalctl -u ${UNITS.worker}" on ${host.address} says more; or take it out with "slipway delete" and join it again`,
        });
      });
    },
  };
}

/** A host without an identity has none that could have ended: what starts or joins it gives it one. */
async function kubeletEnded(host: Host): Promise<boolean> {
  const own = await kubeletCertificates(host);
  return own.length > 0 && own.every((certificate) => hasEnded(certificate));
}

async function hasIdentity(host: Host): Promise<boolean> {
  return (await kubeletCertificates(host)).some((certificate) => !hasEnded(certificate));
}

async function kubeletCertificates(host: Host) {
  return (await listCertificates(host)).filter(({ name }) => name === 'kubelet');
}
