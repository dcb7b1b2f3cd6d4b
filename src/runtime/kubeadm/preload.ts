import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { entryMaster } from '../kubernetes/masters.js';
import { type ClusterConfiguration, readClusterConfiguration } from './cluster-configuration.js';

const PULL_TIMEOUT_MS = 20 * 60_000;

/** Lets a host fetch the images of the new version from the cluster's registry. */
export function preloadStep(host: Host, cluster: ClusterContext): DriverStep {
  const { rootfs, version, masters } = cluster;
  const master = masters.some(({ address }) => address === host.address);
  const script = async (each: string): Promise<string> =>
    preloadScript(rootfs, await readClusterConfiguration(entryMaster(cluster), rootfs), version, master, each);
  return {
    title: 'fetch images',
    async done() {
      const { code } = await onHost(host, rootfs, await script('crictl inspecti "$image" >/dev/null 2>&1'), {
        allowFailure: true,
        title: 'looking for the images',
        timeoutMs: 60_000,
      });
      return code === 0;
    },
    async run(_note, signal) {
      await onHost(host, rootfs, await script('crictl pull "$image" >/dev/null'), {
        signal,
        timeoutMs: PULL_TIMEOUT_MS,
        title: 'crictl pull',
      });
    },
  };
}

/**
 * A script that does something for each image that kubeadm would run, from where the cluster's configuration says (`imageRepository`, that
 * of etcd, of DNS). It fails when kubeadm cannot say which. Pure.
 */
export function preloadScript(
  rootfs: string,
  configuration: ClusterConfiguration,
  version: string,
  master: boolean,
  each: string,
): string {
  const wanted = JSON.stringify({ ...configuration, kubernetesVersion: version });
  const kubeadm = shellQuote(`${rootfs}/bin/kubeadm`);
  return [
    `images=$(printf %s ${shellQuote(wanted)} | ${kubeadm} config images list --config /dev/stdin) || exit`,
    ...(master ? [] : [`images=$(printf '%s\\n' "$images" | grep -E '/(kube-proxy|pause):') || exit`]),
    `for image in $images; do ${each} || exit 1; done`,
  ].join('\n');
}
