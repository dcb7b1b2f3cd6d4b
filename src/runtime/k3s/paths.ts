/** Files of a host that k3s and this driver agree on. */
export const PATHS = {
  binary: '/usr/local/bin/k3s',
  /** Names by which k3s is another program. */
  links: ['/usr/local/bin/kubectl', '/usr/local/bin/crictl', '/usr/local/bin/ctr'],
  config: '/etc/rancher/k3s/config.yaml',
  registries: '/etc/rancher/k3s/registries.yaml',
  admin: '/etc/rancher/k3s/k3s.yaml',
  /** Says that this is a whole master: what is found beside it is a cluster, not the remains of a broken start. */
  complete: '/etc/rancher/k3s/slipway-complete',
  data: '/var/lib/rancher/k3s',
  /** Joins servers, in its full form. */
  token: '/var/lib/rancher/k3s/server/token',
  /** Joins agents. */
  nodeToken: '/var/lib/rancher/k3s/server/node-token',
  /** Certificates of a server; those of etcd are below. */
  tls: '/var/lib/rancher/k3s/server/tls',
  /** What every node has, with its certificates. */
  agent: '/var/lib/rancher/k3s/agent',
  serverCa: '/var/lib/rancher/k3s/server/tls/server-ca.crt',
  agentServerCa: '/var/lib/rancher/k3s/agent/server-ca.crt',
  etcd: '/var/lib/rancher/k3s/server/db/etcd',
  /** Certificates of etcd. */
  etcdTls: '/var/lib/rancher/k3s/server/tls/etcd',
  sqlite: '/var/lib/rancher/k3s/server/db/state.db',
  kubelet: '/var/lib/rancher/k3s/agent/kubelet.kubeconfig',
  images: '/var/lib/rancher/k3s/agent/images',
  containerdTemplate: '/var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl',
} as const;

/** k3s is one of two services. */
export type K3sRole = 'server' | 'agent';

export const UNITS: Readonly<Record<K3sRole, string>> = { server: 'k3s.service', agent: 'k3s-agent.service' };

export function unitFile(role: K3sRole): string {
  return `/etc/systemd/system/${UNITS[role]}`;
}
