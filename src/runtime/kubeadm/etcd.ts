import { SlipwayError } from '../../base/errors.js';
import type { CommandResult, Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { type CommandOptions, PASSING } from '../kubernetes/ask.js';
import type { EtcdMember } from '../kubernetes/quorum.js';
import { waitFor } from '../wait.js';
import { kubectl } from './commands.js';

/** A master that answers, and how the cluster calls it. */
export interface EtcdPlace {
  readonly host: Host;
  readonly rootfs: string;
  /** Name of its node. */
  readonly node: string;
}

const MANIFEST = '/etc/kubernetes/manifests/etcd.yaml';
const PKI = '/etc/kubernetes/pki/etcd';

/** Whether etcd runs on the masters, and not somewhere else where it is not ours to touch. */
export function hasOwnEtcd(host: Host): Promise<boolean> {
  return host.exists(MANIFEST);
}

/** The members, asked of the one on this master. @throws SlipwayError E_HOST_COMMAND when etcd has no quorum. */
export async function etcdMembers(place: EtcdPlace): Promise<readonly EtcdMember[]> {
  const { stdout } = await etcdctl(place, ['member', 'list'], { title: 'etcdctl member list' });
  return parseMembers(stdout);
}

/** The addresses of members that take part at the moment. One that is dead is waited for for some seconds. */
export async function healthyMembers(place: EtcdPlace): Promise<ReadonlySet<string>> {
  const { stdout, stderr } = await etcdctl(place, ['endpoint', 'health', '--cluster'], {
    title: 'etcdctl endpoint health',
    allowFailure: true,
  });
  return new Set(parseHealth(`${stdout}\n${stderr}`));
}

/** Takes a member out, and sees that it is out. */
export async function removeMember(place: EtcdPlace, address: string, signal?: AbortSignal): Promise<void> {
  for (const { id } of (await etcdMembers(place)).filter((member) => member.address === address)) {
    // Whether it failed, or was done and not answered, is seen below.
    await etcdctl(place, ['member', 'remove', id], { title: 'etcdctl member remove', signal, allowFailure: true });
  }
  if ((await etcdMembers(place)).some((member) => member.address === address)) {
    throw new SlipwayError('E_CLUSTER_STATE', `etcd on ${place.host.address} still has ${address} as a member`);
  }
}

/** Writes what etcd has into a file on its host, for root alone. */
export async function saveSnapshot(place: EtcdPlace, file: string, signal?: AbortSignal): Promise<void> {
  // The only directory that the host and etcd's container share for writing; of the same name in both.
  const manifest = (await place.host.readFile(MANIFEST))?.toString('utf8') ?? '';
  const inside = `${/--data-dir=(\S+)/.exec(manifest)?.[1] ?? '/var/lib/etcd'}/slipway-snapshot.db`;
  await etcdctl(place, ['snapshot', 'save', inside], { title: 'etcdctl snapshot save', signal, timeoutMs: 900_000 });
  await place.host.run(
    `umask 077 && mv -f ${shellQuote(inside)} ${shellQuote(file)} && chmod 600 ${shellQuote(file)}`,
    {
      title: 'keeping the snapshot of etcd',
      timeoutMs: 300_000,
    },
  );
}

/** Reads etcdctl's simple list: `ID, started, NAME, PEER URLS, CLIENT URLS[, LEARNER]`. Pure. */
export function parseMembers(text: string): readonly EtcdMember[] {
  return text.split('\n').flatMap((line) => {
    const [id, status, , peers] = line.split(',').map((field) => field.trim());
    const address = addressOf(peers);
    return id === undefined || address === undefined ? [] : [{ id, address, started: status === 'started' }];
  });
}

/** Addresses of the endpoints that are healthy in what `etcdctl endpoint health` prints. Pure. */
export function parseHealth(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const [, url] = /^(\S+) is healthy/.exec(line) ?? [];
    return addressOf(url) ?? [];
  });
}

function addressOf(url: string | undefined): string | undefined {
  return /^https?:\/\/\[?([0-9a-f.:]+?)\]?:\d+$/i.exec(url ?? '')?.[1];
}

/** Kubelet tells of its pods some time after they run: right after a start etcd is there and its pod is not known yet. */
const NOT_YET = /pods "[^"]*" not found|container not found|unable to upgrade connection|does not have a host assigned/;

async function etcdctl(
  { host, rootfs, node }: EtcdPlace,
  args: readonly string[],
  { allowFailure = false, ...options }: CommandOptions & { readonly title: string },
): Promise<CommandResult> {
  const login = [
    '--endpoints=https://127.0.0.1:2379',
    `--cacert=${PKI}/ca.crt`,
    `--cert=${PKI}/healthcheck-client.crt`,
    `--key=${PKI}/healthcheck-client.key`,
  ];
  const command = ['-n', 'kube-system', 'exec', `etcd-${node}`, '--', 'etcdctl', ...login, ...args];
  const pod = `etcd on ${host.address} to answer`;
  const result = await waitFor(
    async () => {
      const answer = await kubectl(host, rootfs, command, { timeoutMs: 120_000, ...options, allowFailure: true });
      const passing = NOT_YET.test(answer.stderr) || (!allowFailure && PASSING.test(answer.stderr));
      return answer.code !== 0 && passing ? undefined : answer;
    },
    { what: pod, timeoutMs: 120_000, intervalMs: 2000, signal: options.signal },
  );
  if (result.code === 0 || allowFailure) return result;
  throw new SlipwayError(
    'E_HOST_COMMAND',
    `host ${host.address}: ${options.title} failed with exit code ${result.code}:\n${result.stderr.trim()}`,
  );
}
