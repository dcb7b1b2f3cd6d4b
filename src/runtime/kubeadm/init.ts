import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { isReadyNode } from '../kubernetes/masters.js';
import { authorityLife, layAuthorities } from './authorities.js';
import { leadTo } from './balancer.js';
import { listNodes } from './cluster.js';
import { initConfig } from './config.js';
import { hostAbilities, kubeadmFacts } from './facts.js';
import { apiServerReady, findRemains, markComplete, reviveApiServer } from './health.js';
import { PATHS } from './paths.js';
import { kubeadmReset } from './reset.js';
import { writeRootKubeconfig } from './root-kubeconfig.js';

const INIT_TIMEOUT_MS = 15 * 60_000;

/**
 * `kubeadm init` on the first master.
 *
 * Done means: it ran to its end (a file says so), the API server is ready, and the node is registered. A start that broke half way is
 * cleaned with `kubeadm reset` and begun again; one that ran to its end is never reset from here, whatever state it is in.
 */
export function initStep(first: Host, cluster: ClusterContext): DriverStep {
  const { rootfs } = cluster;
  return {
    title: 'kubeadm init',
    async done() {
      if (!(await findRemains(first)).complete) return false;
      return isReadyNode(first, { ready: () => apiServerReady(first, rootfs), nodes: () => listNodes(first, rootfs) });
    },
    async run(note, signal) {
      await leadTo(first, [first.address], cluster);
      const remains = await findRemains(first);
      if (remains.complete) {
        await reviveApiServer(first, rootfs, signal);
        return;
      }
      if (remains.strangersCa) throw strangersCa(first);
      if (remains.leftovers) await kubeadmReset(first, rootfs, signal);
      const facts = { ...kubeadmFacts(cluster), abilities: await hostAbilities(first) };
      const { file, flags } = initConfig(facts, first.address);
      await first.writeFile(PATHS.initConfig, file, { mode: 0o600 });
      const life = authorityLife(cluster.version, cluster.configDocuments);
      if (life !== undefined) await layAuthorities(first, life, cluster.configDocuments);
      const command = ['kubeadm', 'init', `--config=${PATHS.initConfig}`, '--skip-token-print', ...flags];
      await onHost(first, rootfs, command.map(shellQuote).join(' '), {
        signal,
        timeoutMs: INIT_TIMEOUT_MS,
        title: 'kubeadm init',
      });
      await onHost(first, rootfs, 'systemctl enable -q kubelet.service', { timeoutMs: 60_000 });
      await writeRootKubeconfig(first, note);
      await markComplete(first, cluster.name);
    },
  };
}

/** A start that breaks is cleaned with `kubeadm reset`, which takes every CA that it finds: the key of somebody's would be lost. */
function strangersCa({ address }: Host): SlipwayError {
  return new SlipwayError(
    'E_CLUSTER_STATE',
    `${address}: ${PATHS.caCertificate} is there, and not from a start of this cluster; nothing was changed`,
    { hint: 'a CA of your own cannot be used: put it in a safe place, empty /etc/kubernetes/pki, and run again' },
  );
}
