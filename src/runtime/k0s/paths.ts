/** Files of a host that k0s and this driver agree on. */
export const PATHS = {
  binary: '/usr/local/bin/k0s',
  /** What k0s is told; no secret of ours is in it, but documents may bring some. */
  config: '/etc/k0s/k0s.yaml',
  /** Named in the service of everything that joined: it must be there for ever. */
  token: '/etc/k0s/k0stoken',
  /** Says that this is a whole master: what is found beside it is a cluster, not the remains of a broken start. */
  complete: '/etc/k0s/slipway-complete',
  data: '/var/lib/k0s',
  /** Archives of container images that k0s imports by itself. */
  images: '/var/lib/k0s/images',
  admin: '/var/lib/k0s/pki/admin.conf',
  kubelet: '/var/lib/k0s/kubelet.conf',
  /** Certificates of the control plane. */
  pki: '/var/lib/k0s/pki',
  /** Where kubelet keeps the certificates that it asks for. */
  kubeletPki: '/var/lib/k0s/kubelet/pki',
  /** A new token on its way out of the master that made it; in memory (tmpfs), removed as soon as it is read. */
  newToken: '/run/slipway/k0s-token',
  rootKubeconfig: '/root/.kube/config',
} as const;

/** What a host is to k0s; Slipway's masters are controllers that are nodes as well. */
export type K0sRole = 'controller' | 'worker';

/** The systemd services that `k0s install` makes. */
export const UNITS: Readonly<Record<K0sRole, string>> = {
  controller: 'k0scontroller.service',
  worker: 'k0sworker.service',
};

/** Where `k0s install` writes the file of a service. */
export function unitFile(role: K0sRole): string {
  return `/etc/systemd/system/${UNITS[role]}`;
}
