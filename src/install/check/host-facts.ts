import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { isDigest } from '../../image/digest.js';
import { type HostOwner, parseOwner } from '../cluster-hosts/host-owner.js';
import { compareInstalled, type InstalledFiles } from '../cluster-hosts/host-record.js';
import { listRootfs, verifyFiles } from '../files/distribute.js';
import type { HostListing } from '../files/host-listing.js';
import { decodeHostTocRows, type HostTocRow } from '../files/host-toc.js';
import { CONTAINERD_CERTS } from '../registry/registry-mirrors.js';
import type { HostPaths } from '../state/cluster-paths.js';
import type { ClusterState } from '../state/cluster-state.js';
import { programPath } from '../work.js';

/** A file system of a host. */
export interface Disk {
  readonly mount: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** What systemd says of a unit; its names for states. */
export interface UnitState {
  readonly unit: string;
  readonly load: string;
  readonly active: string;
  readonly sub: string;
  /** Whether it starts with the host: `enabled`, `disabled`, `masked`, `static` … */
  readonly file: string;
}

/** What was gathered from a host that answers. */
export interface GatheredHost {
  readonly clockSkewMs: number;
  readonly owner: HostOwner | undefined;
  readonly disks: readonly Disk[];
  readonly units: readonly UnitState[];
  /** What the cluster's registry answered: undefined where nothing says that the host pulls from it, '' when it answered well. */
  readonly registry: string | undefined;
  /** Certificates by the file that they are in, PEM. */
  readonly certificates: readonly { readonly file: string; readonly pem: string }[];
  /** What the host was given, by its own list; undefined when there is none that can be read. */
  readonly given: readonly HostTocRow[] | undefined;
  /** Files were on their way when something ended it. */
  readonly halfSent: boolean;
  readonly listing: HostListing;
  /** Files whose content is what was given; undefined when nobody looked into them. */
  readonly verified: ReadonlySet<string> | undefined;
  readonly installed: InstalledFiles;
}

/** Where certificates of control planes are, of kubeadm, k0s and k3s; and those of the registry, in the rootfs. */
const CERTIFICATES = [
  '/etc/kubernetes/pki/*.crt',
  '/etc/kubernetes/pki/etcd/*.crt',
  '/var/lib/kubelet/pki/kubelet-client-current.pem',
  '/var/lib/k0s/pki/*.crt',
  '/var/lib/k0s/pki/etcd/*.crt',
  '/var/lib/k0s/kubelet/pki/kubelet-client-current.pem',
  '/var/lib/rancher/k3s/server/tls/*.crt',
  '/var/lib/rancher/k3s/server/tls/etcd/*.crt',
  '/var/lib/rancher/k3s/agent/*.crt',
];

/** Asks a host for everything that is checked: facts, and then the rest at once. Changes nothing. */
export async function gatherHost(
  host: Host,
  state: Pick<ClusterState, 'registry' | 'dataRoot'>,
  paths: HostPaths,
  { units, deep, signal }: { readonly units: readonly string[]; readonly deep: boolean; readonly signal: AbortSignal },
): Promise<GatheredHost> {
  const { clockSkewMs } = await host.facts({ diskPath: state.dataRoot });
  const [gathered, toc, next, listing, installed] = await Promise.all([
    host.run(gatherScript(state, paths, units), { title: 'looking how the host is', timeoutMs: 120_000, signal }),
    host.readFile(paths.toc),
    host.exists(`${paths.toc}.next`),
    listRootfs(host, paths, signal),
    compareInstalled(host, deep, signal),
  ]);
  const given = toc === undefined ? undefined : decodeHostTocRows(toc);
  return {
    clockSkewMs,
    ...parseGathered(host.address, gathered.stdout),
    given,
    halfSent: next,
    listing,
    installed,
    verified: deep && given !== undefined ? await verifyFiles(host, paths, filesOf(given, listing), signal) : undefined,
  };
}

/** Files of which it makes sense to ask for the content. */
function filesOf(given: readonly HostTocRow[], listing: HostListing) {
  return given.flatMap(({ path, digest }) =>
    digest !== undefined && isDigest(digest) && listing.get(path)?.type === 'file' ? [{ path, digest }] : [],
  );
}

/** Prints what {@link parseGathered} reads, as lines `name=value`. POSIX sh; private keys stay where they are. */
export function gatherScript(
  { registry, dataRoot }: Pick<ClusterState, 'registry' | 'dataRoot'>,
  { rootfs, owner }: HostPaths,
  units: readonly string[],
): string {
  const own = `${registry.domain}:${registry.port}`;
  return `${programPath(rootfs)}LC_ALL=C; export LC_ALL
[ ! -e ${shellQuote(owner)} ] || echo "owner=$(tr -d '\\n' <${shellQuote(owner)})"
for path in / ${shellQuote(dataRoot)} /var/lib /var/lib/containerd /var/lib/etcd /var/log; do
  [ ! -d "$path" ] || df -Pk "$path" | awk 'NR == 2 { print "disk=" $2, $4, $6 }'
done
for unit in ${units.map(shellQuote).join(' ')}; do
  echo "unit=$unit $(systemctl show --property=LoadState --property=ActiveState --property=SubState --property=UnitFileState "$unit" | tr '\\n' ' ')"
done
ca=${shellQuote(`${CONTAINERD_CERTS}/${own}/ca.crt`)}
if [ -f "$ca" ]; then
  # kubectl is on every host, where curl and openssl may be missing: it asks by the name, and verifies.
  if answer=$(NO_PROXY='*' kubectl --kubeconfig=/dev/null ${shellQuote(`--server=https://${own}`)} --certificate-authority="$ca" \\
    --token=none --request-timeout=10s get --raw=/v2/ 2>&1 </dev/null); then echo registry=
  else echo "registry=$(printf %s "$answer" | tr '\\n' ' ')"; fi
fi
certificate() {
  pem=$(sed -n '/^-----BEGIN CERTIFICATE-----/,/^-----END CERTIFICATE-----/p' | tr '\\n' '|')
  [ -z "$pem" ] || echo "certificate=$1 $pem"
}
for file in ${CERTIFICATES.join(' ')} ${shellQuote(`${rootfs}/certs`)}/*.crt; do
  [ ! -f "$file" ] || certificate "$file" <"$file"
done
for file in /etc/kubernetes/*.conf; do
  [ ! -f "$file" ] || sed -n 's/^ *client-certificate-data: *//p' "$file" | base64 -d | certificate "$file"
done
echo end=1`;
}

/**
 * Reads what {@link gatherScript} printed. Pure.
 * @throws SlipwayError E_HOST_COMMAND when its end is missing.
 */
export function parseGathered(
  address: string,
  text: string,
): Pick<GatheredHost, 'owner' | 'disks' | 'units' | 'registry' | 'certificates'> {
  const lines = text.split('\n');
  const values = (name: string): string[] =>
    lines.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
  if (values('end').length === 0) {
    throw new SlipwayError('E_HOST_COMMAND', `host ${address}: what it says of itself has no end`, {
      hint: 'the host needs a POSIX sh, awk, sed, df, base64 and systemd',
    });
  }
  const [owner] = values('owner');
  const [registry] = values('registry');
  return {
    owner: owner === undefined ? undefined : parseOwner(owner),
    disks: disksOf(values('disk')),
    units: values('unit').map(unitOf),
    registry: registry === undefined ? undefined : registryAnswer(registry),
    certificates: values('certificate').map((value) => {
      const space = value.indexOf(' ');
      return { file: value.slice(0, space), pem: value.slice(space + 1).replaceAll('|', '\n') };
    }),
  };
}

/** A registry with passwords refuses who has none: it is there, and is who it should be. */
function registryAnswer(text: string): string {
  return /\bunauthorized\b|must be logged in/i.test(text) ? '' : text.trim();
}

/** `KIBIBYTES FREE MOUNT`, each file system once. */
function disksOf(values: readonly string[]): readonly Disk[] {
  const disks = new Map<string, Disk>();
  for (const value of values) {
    const [total = '', free = '', ...mount] = value.split(' ');
    if (!/^\d+$/.test(total) || !/^\d+$/.test(free)) continue;
    const name = mount.join(' ');
    disks.set(name, { mount: name, totalBytes: Number(total) * 1024, freeBytes: Number(free) * 1024 });
  }
  return [...disks.values()];
}

/** `NAME LoadState=loaded ActiveState=active SubState=running UnitFileState=enabled` */
function unitOf(value: string): UnitState {
  const [unit = '', ...properties] = value.trim().split(' ');
  const property = (name: string): string =>
    properties.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? 'unknown';
  return {
    unit,
    load: property('LoadState'),
    active: property('ActiveState'),
    sub: property('SubState'),
    file: property('UnitFileState'),
  };
}
