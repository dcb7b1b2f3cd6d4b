import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { PASSING } from '../kubernetes/ask.js';
import { type EtcdMember, quorumProblem } from '../kubernetes/quorum.js';
import { waitFor } from '../wait.js';
import { k0s } from './commands.js';

const PEER_PORT = 2380;
/** A member that has just come makes etcd unhealthy for some seconds. */
const LEAVE_TIMEOUT_MS = 60_000;
const LEAVE_INTERVAL_MS = 3000;
const listSchema = z.object({ members: z.record(z.string(), z.string()) });

/**
 * Reads what `k0s etcd member-list` prints: `{"members":{NAME: PEER URL}}`, after lines of its log in some versions. One that was added
 * and has never come has no name. Pure. @throws SlipwayError E_CLUSTER_STATE
 */
export function parseMemberList(text: string, where: string): readonly EtcdMember[] {
  const line = text.split('\n').findLast((one) => one.startsWith('{')) ?? '';
  try {
    return Object.entries(listSchema.parse(JSON.parse(line)).members).flatMap(([name, url]) => {
      const address = /^https?:\/\/\[?([0-9a-f.:]+?)\]?:\d+$/i.exec(url)?.[1];
      return address === undefined ? [] : [{ id: name, address, started: name !== '' }];
    });
  } catch (cause) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `${where}: "k0s etcd member-list" does not print members: ${text.slice(0, 200)}`,
      {
        cause,
      },
    );
  }
}

/**
 * The members, asked on a master that is up; undefined when the state is not in an etcd of k0s' own. While etcd elects a leader, it is
 * asked again.
 */
export async function etcdMembers(master: Host, signal?: AbortSignal): Promise<readonly EtcdMember[] | undefined> {
  const { code, stdout, stderr } = await waitFor(
    async () => {
      const answer = await k0s(master, ['etcd', 'member-list'], { allowFailure: true, timeoutMs: 30_000, signal });
      return answer.code !== 0 && PASSING.test(answer.stderr) ? undefined : answer;
    },
    { what: `etcd on ${master.address} to answer`, timeoutMs: 60_000, intervalMs: 2000, signal },
  );
  if (code === 0) return parseMemberList(stdout, master.address);
  if (/wrong storage type|does not support external etcd/.test(stdout + stderr)) return undefined;
  throw new SlipwayError(
    'E_CLUSTER_STATE',
    `${master.address}: the members of etcd cannot be listed\n${(stderr || stdout).trim()}`,
    { hint: `see on ${master.address}: "k0s status", "journalctl -u k0scontroller"` },
  );
}

/** Addresses of members that can be reached from this one; itself it is one, since it answered. */
export async function reachableMembers(
  master: Host,
  members: readonly EtcdMember[],
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const others = members.map(({ address }) => address).filter((address) => address !== master.address);
  const { stdout } = await master.run(
    `for a in ${others.map(shellQuote).join(' ')}; do
  timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/${PEER_PORT}"' "$a" 2>/dev/null && echo "$a" &
done
wait
true`,
    {
      title: 'looking which members of etcd are up',
      timeoutMs: 60_000,
      ...(signal === undefined ? {} : { signal }),
    },
  );
  return new Set([master.address, ...stdout.split('\n').filter((line) => others.includes(line))]);
}

/** Why these addresses cannot leave etcd; undefined when they can, or none of them is a member. */
export async function leavingProblem(
  master: Host,
  members: readonly EtcdMember[],
  leaving: readonly string[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (!members.some(({ address }) => leaving.includes(address))) return undefined;
  return quorumProblem(members, await reachableMembers(master, members, signal), leaving);
}

/** `k0s etcd leave` for a member, on a master that stays, and sees that it is out. What a passing trouble keeps from it is asked again. */
export async function leaveEtcd(master: Host, address: string, signal?: AbortSignal): Promise<void> {
  const isMember = async (): Promise<boolean> =>
    (await etcdMembers(master, signal))?.some((member) => member.address === address) === true;
  if (!(await isMember())) return;
  const end = Date.now() + LEAVE_TIMEOUT_MS;
  for (;;) {
    const { code, stdout, stderr } = await k0s(master, ['etcd', 'leave', `--peer-address=${address}`], {
      allowFailure: true,
      timeoutMs: 120_000,
      signal,
    });
    // Whether it failed, or was done and not answered.
    if (!(await isMember())) return;
    const words = (stderr || stdout).trim();
    if (code === 0 || !PASSING.test(words) || Date.now() >= end) {
      throw new SlipwayError('E_CLUSTER_STATE', `etcd on ${master.address} still has ${address} as a member\n${words}`);
    }
    await sleep(LEAVE_INTERVAL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
}
