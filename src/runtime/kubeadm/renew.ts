import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { isAtLeast } from '../kubernetes/version.js';
import { certificatesConfig } from './config.js';
import {
  COMPONENTS,
  type Component,
  type ComponentProcess,
  hasComponent,
  processOf,
  restartComponent,
} from './control-plane.js';
import { kubeadmFacts } from './facts.js';
import { writeRootKubeconfig } from './root-kubeconfig.js';

/**
 * Renews everything that kubeadm has made on a master and that ends: certificates and kubeconfigs. Then what uses them is started anew,
 * etcd first, each only when the one before is up and shows the new certificate. kubeadm is told how the cluster is configured, since
 * the cluster, which it would ask, may be refusing by now. Names in certificates stay as they are.
 * Source: Kubernetes, "Certificate Management with kubeadm", manual renewal.
 */
export function renewStep(master: Host, cluster: ClusterContext): DriverStep {
  const { rootfs, version } = cluster;
  return {
    title: 'renew the certificates',
    done: async () => false,
    async run(note, signal) {
      const { file } = certificatesConfig(kubeadmFacts(cluster), master.address);
      // `kubeadm certs` was `kubeadm alpha certs` before 1.20.
      const renew = `kubeadm ${isAtLeast(version, '1.20') ? '' : 'alpha '}certs renew all`;
      await onHost(
        master,
        rootfs,
        `umask 077
config=$(mktemp /run/slipway-certificates.XXXXXX) || exit 1
trap 'rm -f "$config"' EXIT
trap 'exit 143' TERM HUP INT
cat >"$config" && ${renew} --config="$config"`,
        { stdin: file, signal, timeoutMs: 120_000, title: renew },
      );
      // Whatever begins from now on has the new ones.
      const before = new Map<Component, ComponentProcess | undefined>();
      for (const component of COMPONENTS) {
        if (await hasComponent(master, component)) before.set(component, await processOf(master, component));
      }
      for (const [component, old] of before) await restartComponent(master, rootfs, component, old, signal);
      await writeRootKubeconfig(master, note);
    },
  };
}
