import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { SlipwayError } from '../../base/errors.js';
import { userName } from '../../base/user-name.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';

const LOCK = '/run/lock/slipway';
/** A lock whose owner has not shown itself for this long, by the host's clock, belongs to nobody. */
const STALE_SECONDS = 60;
const HEARTBEAT_MS = 15_000;

const HELD = 91;

/** A host that is ours until `release`. */
export interface HostLock {
  release(): Promise<void>;
}

export interface HostLockOptions {
  /** What the work is, for whoever finds the lock: `run my-cluster`. */
  readonly purpose: string;
  /** Called once when somebody else has taken the lock from us (we were cut off for longer than a minute). */
  readonly onLost: (error: SlipwayError) => void;
  /** Default 15 s. */
  readonly heartbeatMs?: number;
  /** The lock's file on the host; default /run/lock/slipway, the one for all of Slipway. */
  readonly file?: string;
}

/**
 * Takes the lock of a host, so that no other Slipway, from whatever machine, changes it meanwhile. The lock is a file with its owner's
 * name, renewed every 15 s; one that is older than 60 s, or whose owner was a process of this machine that has ended, is taken over.
 *
 * All of it happens on the host in one script that holds flock(2) on the directory of the file: looking and taking are one step, and
 * nothing is left behind.
 * @throws SlipwayError E_LOCKED with the owner.
 */
export async function lockHost(
  host: Host,
  { purpose, onLost, heartbeatMs = HEARTBEAT_MS, file = LOCK }: HostLockOptions,
): Promise<HostLock> {
  const token = randomUUID();
  const owner = `${token} ${thisProcess()} ${await userName(process.getuid?.() ?? 0)}@${hostname()} ${purpose}`;
  const lock = { host, file, owner, token };
  let found = await take(lock);
  if (found !== undefined && ownerHasEnded(found)) found = await take(lock, found);
  if (found !== undefined) throw heldError(host, found);
  const timer = setInterval(() => void renew(), heartbeatMs);
  timer.unref();
  const renew = async (): Promise<void> => {
    if ((await holds(lock, heartbeatMs)) !== false) return;
    clearInterval(timer);
    onLost(
      new SlipwayError('E_LOCKED', `host ${host.address}: somebody else has taken the lock while this ran`, {
        hint: 'wait until the other one has finished, then run the same command again',
      }),
    );
  };
  return {
    async release() {
      clearInterval(timer);
      await host.run(`${guarded(file)}\ngrep -q ${shellQuote(`^${token} `)} "$lock" && rm -f "$lock"\ntrue`, {
        title: 'giving the lock of the host back',
        allowFailure: true,
        timeoutMs: 30_000,
      });
    },
  };
}

interface LockFacts {
  readonly host: Host;
  readonly file: string;
  readonly owner: string;
  readonly token: string;
}

/** The beginning of a script that looks at the lock file and changes it: nobody else does so until it ends. */
function guarded(file: string): string {
  return `lock=${shellQuote(file)}
mkdir -p "\${lock%/*}" && exec 9<"\${lock%/*}" && flock -w 30 9 || exit 1`;
}

/** Takes the lock, also a stale one, and the one of `ended`. Gives the owner's line when it is held. */
async function take({ host, file, owner, token }: LockFacts, ended = ''): Promise<string | undefined> {
  const { code, stdout } = await host.run(
    `${guarded(file)}
found=$(cat "$lock" 2>/dev/null)
age=$(( $(date +%s) - $(stat -c %Y "$lock" 2>/dev/null || echo 0) ))
if [ -n "$found" ] && [ "$found" != ${shellQuote(ended)} ] && [ "$age" -lt ${STALE_SECONDS} ] && [ "$age" -gt -${STALE_SECONDS} ]; then
  printf '%s\\n' "$found"; exit ${HELD}
fi
mine=$lock.${token}
printf '%s\\n' ${shellQuote(owner)} >"$mine" && mv -f "$mine" "$lock" && exit 0
rm -f "$mine"
exit 1`,
    { title: 'taking the lock of the host', allowFailure: true, timeoutMs: 60_000 },
  );
  if (code === 0) return undefined;
  if (code === HELD) return stdout.trim();
  throw new SlipwayError('E_HOST_COMMAND', `host ${host.address}: cannot take the lock ${file} (exit code ${code})`);
}

/** Renews the lock; false when it is not ours any more, undefined when the host does not say (it may again before the lock is stale). */
async function holds({ host, file, token }: LockFacts, timeoutMs: number): Promise<boolean | undefined> {
  const script = `grep -q ${shellQuote(`^${token} `)} ${shellQuote(file)} || exit ${HELD}\ntouch ${shellQuote(file)}`;
  return host.run(script, { title: 'renewing the lock of the host', allowFailure: true, timeoutMs }).then(
    ({ code }) => (code === 0 ? true : code === HELD ? false : undefined),
    () => undefined,
  );
}

function heldError(host: Host, line: string): SlipwayError {
  const [, , who = 'somebody', ...purpose] = line.split(' ');
  return new SlipwayError(
    'E_LOCKED',
    `host ${host.address} is in use: ${who} (${purpose.join(' ') || 'unknown work'})`,
    {
      hint: `wait until it has finished; a lock whose owner was cut off is free after ${STALE_SECONDS} s`,
    },
  );
}

/** `PLACE:PID:START`: the second word of a lock says which process owns it; no other one, now or later, has the same. */
function thisProcess(): string {
  return `${place()}:${process.pid}:${startOf(process.pid) ?? 0}`;
}

/** Whether the owner was a process of this machine, and is no more. */
function ownerHasEnded(line: string): boolean {
  const [where, pid, start] = line.split(' ')[1]?.split(':') ?? [];
  return where !== undefined && where === place() && startOf(Number(pid)) !== start;
}

/** This boot of this machine and the process namespace in it: where a process id means the same. */
function place(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot}.${readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')}`;
  } catch {
    return undefined;
  }
}

/**
 * When a process began, in ticks since boot (proc(5), field 22 of stat); undefined when there is none, or only a zombie that nobody
 * has buried.
 */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}
