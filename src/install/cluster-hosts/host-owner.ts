import * as z from 'zod';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { HostPaths } from '../state/cluster-paths.js';

const ownerSchema = z.object({ cluster: z.string(), id: z.string() });
/** To which cluster a host belongs, as a file on the host says it. */
export type HostOwner = z.infer<typeof ownerSchema>;

/** What is on a host that the plan must know, besides its {@link HostFacts}. */
export interface ClusterTraces {
  /** Clusters of Slipway. */
  readonly owners: readonly HostOwner[];
  /** Files and directories that Kubernetes, k0s or k3s of somebody has left or uses. */
  readonly kubernetes: readonly string[];
  /** IP addresses of the host's interfaces. */
  readonly addresses: readonly string[];
  /** Whether oom scores may be lowered (CAP_SYS_RESOURCE). */
  readonly mayLowerOomScore: boolean;
}

const KUBERNETES_TRACES = [
  '/etc/kubernetes/admin.conf',
  '/etc/kubernetes/kubelet.conf',
  '/etc/kubernetes/manifests/kube-apiserver.yaml',
  // Authorities that somebody has laid there for kubeadm would go with the first start that breaks.
  '/etc/kubernetes/pki/ca.*',
  '/etc/kubernetes/pki/front-proxy-ca.*',
  '/etc/kubernetes/pki/etcd/ca.key',
  '/var/lib/etcd/member',
  '/etc/rancher/k3s/k3s.yaml',
  '/etc/systemd/system/k3s.service',
  '/etc/systemd/system/k3s-agent.service',
  // What these say wins over our settings: another server to join, another datastore.
  '/etc/systemd/system/k3s.service.env',
  '/etc/systemd/system/k3s-agent.service.env',
  '/etc/rancher/k3s/config.yaml.d/*.yaml',
  '/var/lib/rancher/k3s/server',
  '/var/lib/rancher/k3s/agent',
  '/etc/k0s/k0s.yaml',
  '/etc/systemd/system/k0scontroller.service',
  '/etc/systemd/system/k0sworker.service',
  '/var/lib/k0s/pki',
];

/** Bit of CAP_SYS_RESOURCE in capability masks (capabilities(7)). */
const CAP_SYS_RESOURCE = 24n;

/** Looks for clusters on a host, in one round trip. Changes nothing. */
export async function findTraces(host: Host, dataRoot: string): Promise<ClusterTraces> {
  const { stdout } = await host.run(
    `for f in ${shellQuote(dataRoot)}/data/*/.owner.json; do [ -f "$f" ] && echo "owner=$(tr -d '\\n' <"$f")"; done
for f in ${KUBERNETES_TRACES.join(' ')}; do [ -e "$f" ] && echo "kubernetes=$f"; done
if command -v ip >/dev/null 2>&1; then ip -o addr show | awk '{ sub("/.*", "", $4); print "address=" $4 }'
else for a in $(hostname -I); do echo "address=$a"; done; fi
while read -r name value; do [ "$name" = CapBnd: ] && echo "capabilities=$value"; done </proc/1/status
true`,
    { title: 'looking for clusters on the host', timeoutMs: 60_000 },
  );
  return parseTraces(stdout);
}

/** Reads what the script of {@link findTraces} prints. Pure. */
export function parseTraces(text: string): ClusterTraces {
  const values = (name: string): string[] =>
    text.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1).trim()] : []));
  const [capabilities = ''] = values('capabilities');
  return {
    owners: values('owner').map(parseOwner),
    kubernetes: values('kubernetes'),
    addresses: values('address'),
    mayLowerOomScore:
      /^[0-9a-f]+$/.test(capabilities) && ((BigInt(`0x${capabilities}`) >> CAP_SYS_RESOURCE) & 1n) === 1n,
  };
}

/** Marks a host as belonging to a cluster. */
export async function claimHost(host: Host, paths: HostPaths, owner: HostOwner): Promise<void> {
  await host.writeFile(paths.owner, `${JSON.stringify(owner)}\n`, { mode: 0o644 });
}

/** Whether the host is marked as belonging to this cluster. */
export async function isClaimed(host: Host, paths: HostPaths, { id }: HostOwner): Promise<boolean> {
  const text = (await host.readFile(paths.owner))?.toString('utf8');
  return text !== undefined && parseOwner(text).id === id;
}

/** Whose a host says that it is; undefined when nothing of a cluster of this name is on it. One round trip. */
export async function readOwner(host: Host, paths: HostPaths, signal?: AbortSignal): Promise<HostOwner | undefined> {
  const { stdout } = await host.run(`f=${shellQuote(paths.owner)}; [ ! -e "$f" ] || { echo owner; cat "$f"; }`, {
    title: 'looking whose the host is',
    timeoutMs: 60_000,
    ...(signal === undefined ? {} : { signal }),
  });
  return stdout.startsWith('owner\n') ? parseOwner(stdout.slice('owner\n'.length)) : undefined;
}

/** A mark that cannot be read is somebody's all the same. */
export function parseOwner(text: string): HostOwner {
  try {
    return ownerSchema.parse(JSON.parse(text));
  } catch {
    return { cluster: 'unknown', id: 'unreadable' };
  }
}
