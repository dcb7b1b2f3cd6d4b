import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext } from '../driver.js';
import { type EtcdMember, quorumProblem } from '../kubeadm/etcd.js';
import { kubectl } from './commands.js';
import { writeConfig } from './files.js';
import { apiServerReady, findRemains, startK3s, waitForK3s } from './health.js';
import { k3sAbilities } from './versions.js';

const MOVE_TIMEOUT_MS = 10 * 60_000;
/** The label of servers that are members, and what k3s notes of them. Source: k3s, pkg/etcd/metadata_controller.go. */
const MEMBERS = `{range .items[*]}{.metadata.annotations.etcd\\.k3s\\.cattle\\.io/node-address} {.status.addresses[?(@.type=="InternalIP")].address}{"\\n"}{end}`;

/** @throws SlipwayError E_UNSUPPORTED when this version cannot have several masters. */
export function checkSeveralMasters({ name, version }: Pick<ClusterContext, 'name' | 'version'>): void {
  if (k3sAbilities(version).embeddedEtcd) return;
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `cluster ${name} cannot have several masters: k3s ${version} has no etcd inside`,
    {
      hint: 'v1.19.5 and later have; or take one master',
    },
  );
}

/**
 * Sees that the cluster has etcd before a second server joins. One that began alone has SQLite: k3s moves what it has to etcd when it
 * starts with `cluster-init`. Once there, it stays.
 * @throws SlipwayError E_UNSUPPORTED for a version that would begin with nothing instead.
 */
export async function ensureEtcd(
  entry: Host,
  cluster: ClusterContext,
  note: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  checkSeveralMasters(cluster);
  if ((await findRemains(entry)).etcd) return;
  if (!k3sAbilities(cluster.version).movesToEtcd) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${entry.address} began alone, with SQLite, and k3s ${cluster.version} cannot move that to etcd: it would begin with nothing`,
      { hint: 'upgrade the cluster to v1.22.2 or later first, then join masters' },
    );
  }
  note(`${entry.address} moves from SQLite to etcd; its API server is away for a moment`);
  await writeConfig(entry, 'server', { begins: 'etcd' }, cluster);
  await startK3s(entry, 'server', 'restart', signal);
  await waitForK3s(entry, 'server', async () => (await findRemains(entry)).etcd && (await apiServerReady(entry)), {
    what: `${entry.address} to move to etcd`,
    timeoutMs: MOVE_TIMEOUT_MS,
    signal,
  });
}

/** The members of etcd, by what the cluster says of its nodes; none where one server has SQLite. */
export async function etcdMembers(entry: Host): Promise<readonly EtcdMember[]> {
  const { stdout } = await kubectl(
    entry,
    '',
    ['get', 'nodes', '-l', 'node-role.kubernetes.io/etcd=true', '-o', `jsonpath=${MEMBERS}`],
    { title: 'looking for the members of etcd' },
  );
  return parseMembers(stdout);
}

/** Reads what {@link etcdMembers} asks for: k3s' own note of the address, else the node's. Pure. */
export function parseMembers(text: string): readonly EtcdMember[] {
  return text.split('\n').flatMap((line) => {
    const [address] = line.split(' ').filter((word) => word !== '');
    return address === undefined ? [] : [{ id: address, address, started: true }];
  });
}

/** Why these servers cannot be taken out without etcd losing its quorum; undefined when they can. */
export async function quorumOf(entry: Host, leaving: readonly string[]): Promise<string | undefined> {
  const members = await etcdMembers(entry);
  // Asking a dead member takes its time, and a worker is none.
  if (!members.some(({ address }) => leaving.includes(address))) return undefined;
  return quorumProblem(members, await listening(entry, members), leaving);
}

/** Members whose etcd takes connections from the master that is asked: a node is called Ready for some time after its host died. */
async function listening(entry: Host, members: readonly EtcdMember[]): Promise<ReadonlySet<string>> {
  const { stdout } = await entry.run(
    `for a in ${members.map(({ address }) => address).join(' ')}; do
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/2379"' "$a" 2>/dev/null && echo "$a"
done
true`,
    { title: 'looking which members of etcd are up', timeoutMs: 120_000 },
  );
  return new Set(stdout.split('\n').filter((line) => line !== ''));
}
