import { isIPv6 } from 'node:net';
import type { Host } from '../../hosts/host.js';
import { onHost } from '../kubernetes/ask.js';
import { waitFor } from '../wait.js';
import { kubectl } from './commands.js';
import { API_SERVER_PORT } from './config.js';
import { PATHS } from './paths.js';

/** Whether the API server on this master itself, not another one behind the shared name, says that it is ready. */
export async function apiServerReady(master: Host, rootfs: string): Promise<boolean> {
  const { code, stdout } = await kubectl(
    master,
    rootfs,
    [
      `--server=https://${isIPv6(master.address) ? `[${master.address}]` : master.address}:${API_SERVER_PORT}`,
      'get',
      '--raw=/readyz',
    ],
    { allowFailure: true, title: 'asking the API server for /readyz' },
  );
  return code === 0 && stdout.trim() === 'ok';
}

/**
 * Starts kubelet and waits for this master's API server: for a host whose cluster is there but does not answer yet (after a reboot).
 * @throws SlipwayError E_TIMEOUT with kubelet's last words.
 */
export async function reviveApiServer(master: Host, rootfs: string, signal?: AbortSignal): Promise<void> {
  await onHost(master, rootfs, 'systemctl start kubelet.service', { signal, timeoutMs: 60_000 });
  await waitFor(async () => ((await apiServerReady(master, rootfs)) ? true : undefined), {
    what: `the API server of ${master.address}, which is initialised and does not answer`,
    timeoutMs: 120_000,
    intervalMs: 2000,
    signal,
    explain: () => kubeletLog(master),
    hint: `look at "journalctl -u kubelet" on ${master.address}; "slipway reset" removes the cluster and its data`,
  });
}

/** The last lines that kubelet wrote on a host. */
export async function kubeletLog(host: Host, lines = 10): Promise<string> {
  const { stdout } = await host.run(`journalctl -q --no-pager -o cat -n ${lines} -u kubelet.service`, {
    allowFailure: true,
    timeoutMs: 20_000,
    title: 'reading the log of kubelet',
  });
  return stdout.trim();
}

/** What there is of Kubernetes on a host. */
export interface HostRemains {
  /** `kubeadm init`, or a join as control plane, ran to its end here. */
  readonly complete: boolean;
  /** kubelet has its identity in a cluster. */
  readonly kubeletConfigured: boolean;
  readonly kubeletActive: boolean;
  /** Anything that makes kubeadm's own checks refuse to begin. */
  readonly leftovers: boolean;
  /** What is left is a CA, and nothing of a start of ours beside it. */
  readonly strangersCa: boolean;
  /** Files with secrets of a join that was killed. */
  readonly joinSecrets: boolean;
}

/** What a join has while it lasts, and a killed one leaves. */
export const JOIN_SECRETS = [PATHS.joinConfig, PATHS.discovery, PATHS.bootstrapKubelet];

/** Looks, in one round trip. */
export async function findRemains(host: Host): Promise<HostRemains> {
  const { stdout } = await host.run(
    `[ -e ${PATHS.complete} ] && echo complete
[ -s ${PATHS.kubelet} ] && echo kubelet-configured
systemctl is-active -q kubelet.service && echo kubelet-active
for f in /etc/kubernetes/*.conf /etc/kubernetes/manifests/*.yaml /var/lib/etcd/member ${PATHS.initConfig}; do
  [ -e "$f" ] && begun=1 && break
done
[ -e ${PATHS.caCertificate} ] && ca=1
[ -z "$begun$ca" ] || echo leftovers
[ -n "$ca" ] && [ -z "$begun" ] && echo strangers-ca
for f in ${JOIN_SECRETS.join(' ')}; do
  [ -e "$f" ] && echo join-secrets && break
done
true`,
    { title: 'looking for Kubernetes on the host', timeoutMs: 60_000 },
  );
  const words = new Set(stdout.split('\n'));
  return {
    complete: words.has('complete'),
    kubeletConfigured: words.has('kubelet-configured'),
    kubeletActive: words.has('kubelet-active'),
    leftovers: words.has('leftovers'),
    strangersCa: words.has('strangers-ca'),
    joinSecrets: words.has('join-secrets'),
  };
}

/** Notes on a master that its control plane was set up to the end. */
export async function markComplete(master: Host, cluster: string): Promise<void> {
  await master.writeFile(PATHS.complete, `${cluster}\n`, { mode: 0o644 });
}
