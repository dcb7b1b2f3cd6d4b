import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf, SlipwayError } from './errors.js';

/** How this user gets a user namespace in which it is root, or why it gets none. */
export type UserNamespace =
  | {
      /** Put before a command: it runs as root of a new user namespace with mounts of its own. */
      readonly command: readonly string[];
      /** Other users exist in it too (/etc/subuid), so that files can be given to them. */
      readonly manyUsers: boolean;
    }
  | { readonly missing: SlipwayError };

const UNSHARE = ['unshare', '--user', '--mount', '--map-root-user'];
const HINT_CONTAINER =
  'in a container, start it with --privileged, or with --security-opt seccomp=unconfined --security-opt apparmor=unconfined';

let known: Promise<UserNamespace> | undefined;

/**
 * Finds out, by trying, what this user may have: with the subordinate ids of /etc/subuid and /etc/subgid (util-linux 2.38 and newuidmap),
 * else a namespace with root alone. Asked once in a process.
 */
export function userNamespace(): Promise<UserNamespace> {
  known ??= probe();
  return known;
}

async function probe(): Promise<UserNamespace> {
  for (const [manyUsers, command] of [
    [true, [...UNSHARE, '--map-auto', '--']],
    [false, [...UNSHARE, '--']],
  ] as const) {
    const failure = await attempt(command);
    if (failure === undefined) return { command, manyUsers };
    if (!manyUsers) return { missing: missing(failure) };
  }
  throw new RangeError('unreachable');
}

/** What went wrong, or undefined. */
async function attempt([program = '', ...args]: readonly string[]): Promise<unknown> {
  try {
    await promisify(execFile)(program, [...args, 'true']);
    return undefined;
  } catch (error) {
    return error;
  }
}

function missing(failure: unknown): SlipwayError {
  if (errnoOf(failure) === 'ENOENT')
    return new SlipwayError('E_MISSING_PROGRAM', 'a user namespace needs the program unshare, which is not installed', {
      hint: 'install it: apt-get install util-linux',
    });
  const said = failure instanceof Error && 'stderr' in failure ? String(failure.stderr).trim() : String(failure);
  return new SlipwayError('E_PERMISSION', `this user may not make a user namespace: ${said}`, { hint: hint() });
}

function hint(): string {
  const setting = (name: string): string | undefined => {
    try {
      return readFileSync(`/proc/sys/${name}`, 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  if (setting('user/max_user_namespaces') === '0') return 'allow some: sysctl user.max_user_namespaces=10000';
  if (setting('kernel/unprivileged_userns_clone') === '0')
    return 'allow them: sysctl kernel.unprivileged_userns_clone=1';
  if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1')
    return 'allow them: sysctl kernel.apparmor_restrict_unprivileged_userns=0';
  return HINT_CONTAINER;
}
