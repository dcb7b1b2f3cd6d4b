import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { userNamespace } from '../base/user-namespace.js';
import { defaultRoot, type GlobalFlags } from './context.js';

/** Passed on to the process that does the work. It is in a session of its own, so that what is typed reaches it once, through us. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGWINCH'] as const;

/** Ends at once when slipway died before `setpriv` could tie this process to it. */
const TIED = '[ "$PPID" = "$1" ] || exit 125; shift; exec "$@"';

/**
 * An action that an ordinary user carries out as root of a user namespace, when `needed` says so; for root it is just the action.
 * @param work what commander calls
 */
export function asRootFor<Args extends readonly unknown[], Flags extends object>(
  needed: (flags: Flags, ...args: Args) => Promise<boolean>,
  work: (...commanderArgs: unknown[]) => Promise<void>,
): (...commanderArgs: unknown[]) => Promise<void> {
  return async (...commanderArgs) => {
    const flags = (commanderArgs.at(-1) as Command).optsWithGlobals<Flags & GlobalFlags>();
    if (process.getuid?.() !== 0 && (await needed(flags, ...(commanderArgs.slice(0, -2) as unknown as Args)))) {
      const code = await inUserNamespace(flags.root ?? defaultRoot());
      if (code !== undefined) {
        process.exitCode = code;
        return;
      }
    }
    await work(...commanderArgs);
  };
}

/**
 * Runs this very command line again as root of a user namespace, for a user who is not root; with `kill -9` of this process it ends too.
 * @param root of the store: root of the namespace would have another default
 * @returns its exit code; undefined when this user may have no namespace: the work that needs one says so
 */
async function inUserNamespace(root: string): Promise<number | undefined> {
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
