import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { DriverStep } from '../driver.js';
import { setHostsBlock } from '../etc-hosts.js';
import { onHost } from '../kubernetes/ask.js';
import { HOSTS_BLOCK } from './balancer.js';
import { LEFTOVERS_SCRIPT, REMOVE_REMAINS_SCRIPT } from './reset-script.js';

const RESET_TIMEOUT_MS = 5 * 60_000;

/** Takes everything of Kubernetes off a host. Needs neither the image nor a working cluster. */
export function resetStep(host: Host, rootfs: string): DriverStep {
  return {
    title: 'kubeadm reset',
    done: async () => (await leftovers(host)).length === 0,
    async run(_note, signal) {
      await kubeadmReset(host, rootfs, signal);
      await onHost(host, rootfs, REMOVE_REMAINS_SCRIPT, {
        signal,
        timeoutMs: RESET_TIMEOUT_MS,
        title: 'removing the remains of Kubernetes',
      });
      await setHostsBlock(host, HOSTS_BLOCK, []);
      const left = await leftovers(host);
      if (left.length > 0) {
        throw new SlipwayError('E_CLUSTER_STATE', `${host.address}: could not be removed: ${left.join(', ')}`, {
          hint: 'find out what holds it (a mount, a process), then run the same command again',
        });
      }
    },
  };
}

/**
 * The part of `kubeadm reset` that cleans the host, where there is a kubeadm and something to clean. The other part asks the cluster to
 * forget the host's member of etcd, with long patience when it does not answer; who takes a host out of a cluster that goes on has
 * seen to that before. What cannot be cleaned is no failure, the rest is removed without it.
 */
export async function kubeadmReset(host: Host, rootfs: string, signal?: AbortSignal): Promise<void> {
  await onHost(
    host,
    rootfs,
    `[ -n "$(ls /etc/kubernetes/*.conf /etc/kubernetes/manifests/*.yaml /var/lib/etcd/member /etc/kubernetes/pki/ca.crt 2>/dev/null)" ] || exit 0
etcd=$(sed -n 's/^ *- --data-dir=//p' /etc/kubernetes/manifests/etcd.yaml 2>/dev/null)
! command -v kubeadm >/dev/null 2>&1 || kubeadm reset phase cleanup-node --cri-socket /run/containerd/containerd.sock
# it stops containers and unmounts; what they and kubelet had stays, also the certificates of a cluster that is gone
rm -rf --one-file-system "\${etcd:-/var/lib/etcd}" /var/lib/kubelet/* /var/lib/cni /var/run/kubernetes`,
    { signal, allowFailure: true, timeoutMs: RESET_TIMEOUT_MS, title: 'kubeadm reset' },
  );
}

async function leftovers(host: Host): Promise<string[]> {
  const { stdout } = await host.run(LEFTOVERS_SCRIPT, {
    title: 'looking for remains of Kubernetes',
    timeoutMs: 60_000,
  });
  return stdout.split('\n').filter((line) => line !== '');
}
