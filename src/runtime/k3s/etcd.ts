import { isIPv6 } from 'node:net';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { ClusterContext } from '../driver.js';
import { type EtcdMember, quorumProblem } from '../kubernetes/quorum.js';
import { deleteNode } from './cluster.js';
import { kubectl, onHost } from './commands.js';
import { writeConfig } from './files.js';
import { apiServerReady, findRemains, startK3s, waitForK3s } from './health.js';
import { PATHS } from './paths.js';
import { k3sAbilities } from './versions.js';

const MOVE_TIMEOUT_MS = 10 * 60_000;
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

/** One member of etcd, with the name that k3s has given it; '' of one that was added and has not come yet. */
export interface K3sMember extends EtcdMember {
  readonly name: string;
  /** It does not vote yet. */
  readonly learner: boolean;
}

const membersSchema = z.array(
  z.looseObject({
    id: z.union([z.number(), z.string()]),
    peerURLs: z.array(z.string()),
    name: z.string().default(''),
    isLearner: z.boolean().default(false),
  }),
);

/**
 * The members of etcd, of the one on this master itself; none where it has SQLite. Not by the nodes: a join that broke off may have left a
 * member without one, and it counts. k3s brings no etcdctl: its kubectl asks what members ask one another.
 * Source: etcd, server/etcdserver/api/etcdhttp/peer.go (`/members`).
 */
export async function etcdMembers(entry: Host): Promise<readonly K3sMember[]> {
  if (!(await findRemains(entry)).etcd) return [];
  const host = isIPv6(entry.address) ? `[${entry.address}]` : entry.address;
  const login = [
    '--kubeconfig=/dev/null',
    `--server=https://${host}:2380`,
    `--certificate-authority=${PATHS.etcdTls}/peer-ca.crt`,
    `--client-certificate=${PATHS.etcdTls}/peer-server-client.crt`,
    `--client-key=${PATHS.etcdTls}/peer-server-client.key`,
    '--request-timeout=20s',
  ];
  // Members speak HTTP/1.1 to one another, and hang up on anything else.
  const command = [PATHS.binary, 'kubectl', ...login, 'get', '--raw=/members'].map(shellQuote).join(' ');
  const { stdout } = await onHost(entry, `DISABLE_HTTP2=1 ${command}`, {
    timeoutMs: 60_000,
    title: 'looking for the members of etcd',
  });
  return parseMembers(stdout, entry.address);
}

/** Reads what etcd answers. Pure. @throws SlipwayError E_CLUSTER_STATE */
export function parseMembers(text: string, where: string): readonly K3sMember[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = membersSchema.safeParse(value);
  if (!parsed.success) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${where}: etcd does not list its members as expected: ${text.slice(0, 200)}`,
    );
  }
  return parsed.data.flatMap(({ id, name, peerURLs, isLearner }) => {
    const address = /^https?:\/\/\[?([0-9a-f.:]+?)\]?:\d+$/i.exec(peerURLs[0] ?? '')?.[1];
    return address === undefined ? [] : [{ id: String(id), name, address, started: name !== '', learner: isLearner }];
  });
}

/**
 * Takes a member out that has no node: a join that broke off left it. k3s takes members out with their nodes alone, so it is given one, which is
 * deleted. One that never came has no name, and k3s takes it for its own when the host joins again.
 * Source: k3s, pkg/etcd/member_controller.go, `RemovePeer` of pkg/etcd/etcd.go (the name in the annotation may be empty, not missing).
 */
export async function forgetMember(
  entry: Host,
  address: string,
  which: 'that came' | 'also one that never came',
  signal?: AbortSignal,
): Promise<void> {
  for (const { name } of (await etcdMembers(entry)).filter((member) => member.address === address)) {
    if (name === '' && which === 'that came') continue;
    await kubectl(entry, '', ['apply', '-f', '-'], {
      stdin: memberNode(name, address),
      signal,
      title: `naming the member ${name || `at ${address}`}`,
    });
    await deleteNode(entry, nodeName(name, address), signal);
  }
}

function nodeName(member: string, address: string): string {
  return member === '' ? `member-${address.replaceAll(/[.:]+/g, '-')}` : member.toLowerCase();
}

/** A node that stands for a member: with the label, the annotations and the finalizer by which k3s finds it. Pure. */
export function memberNode(name: string, address: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName(name, address),
      labels: { 'node-role.kubernetes.io/etcd': 'true' },
      annotations: { 'etcd.k3s.cattle.io/node-name': name, 'etcd.k3s.cattle.io/node-address': address },
      finalizers: ['wrangler.cattle.io/managed-etcd-controller'],
    },
    spec: { unschedulable: true },
  });
}

/** Why these servers cannot be taken out without etcd losing its quorum; undefined when they can. */
export async function quorumOf(entry: Host, leaving: readonly string[]): Promise<string | undefined> {
  const members = (await etcdMembers(entry)).filter(({ learner }) => !learner);
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
