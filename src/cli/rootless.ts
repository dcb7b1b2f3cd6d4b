import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { SlipwayError } from '../base/errors.js';
import { userNamespace } from '../base/user-namespace.js';

/** Passed on to the process that does the work. It is in a session of its own, so that what is typed reaches it once, through us. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGWINCH'] as const;

/** Ends at once when slipway died before `setpriv` could tie this process to it. */
const TIED = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"';

/**
 * Runs this very command line again as root of a user namespace, for a user who is not root; with `kill -9` of this process it ends too.
 * @param root of the store: root of the namespace would have another default
 * @returns its exit code; undefined when there is nothing to be done for root, or when this user may have no namespace, which whoever
 *   needs one will say
 */
export async function inUserNamespace(root: string): Promise<number | undefined> {
  if (process.getuid?.() === 0) return undefined;
  const namespace = await userNamespace();
  if ('missing' in namespace) return undefined;
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const words = [...namespace.command, 'setpriv', '--pdeathsig', 'KILL', '--'];
  const [program = '', ...args] = [...words, 'sh', '-c', TIED, 'slipway', String(process.pid), ...again];
  const child = spawn(program, args, {
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, SLIPWAY_ROOT: root },
  });
  const forward = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of SIGNALS) process.on(signal, forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (cause) =>
        reject(new SlipwayError('E_PERMISSION', `cannot start a user namespace: ${cause.message}`, { cause })),
      );
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, forward);
  }
}
