import { homedir } from 'node:os';
import { join } from 'node:path';
import { SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import type { Store } from '../store/store.js';
import { type Output, outputTo } from './output.js';
import { createReporter, type ProgressMode } from './progress.js';

/** The flags every command has. */
export interface GlobalFlags {
  readonly root?: string;
  readonly debug?: boolean;
  readonly quiet?: boolean;
  readonly format?: string;
  readonly json?: boolean;
  readonly progress?: ProgressMode;
}

/** What a command works with. The store is opened only when it is asked for. */
export interface CliContext {
  readonly root: string;
  readonly quiet: boolean;
  readonly json: boolean;
  readonly out: Output;
  readonly reporter: Reporter;
  /** Aborted by the first Ctrl-C or SIGTERM, and when the terminal is closed (SIGHUP). */
  readonly signal: AbortSignal;
  store(): Promise<Store>;
  close(): Promise<void>;
}

export function createContext(flags: GlobalFlags, signal: AbortSignal): CliContext {
  if (flags.root === '')
    throw new SlipwayError('E_USAGE', '--root is empty', { hint: 'give a directory, or leave the flag away' });
  const root = flags.root ?? defaultRoot();
  const json = flags.json === true || flags.format === 'json';
  const quiet = flags.quiet === true;
  const reporter = createReporter({ mode: flags.progress ?? 'auto', quiet, debug: flags.debug === true });
  let opened: Promise<Store> | undefined;
  return {
    root,
    quiet,
    json,
    out: outputTo(process.stdout),
    reporter,
    signal,
    store: () => {
      opened ??= import('../store/store.js').then(({ Store }) => Store.open(root, { signal, reporter }));
      return opened;
    },
    close: async () => {
      reporter.close();
      await (await opened?.catch(() => undefined))?.close();
    },
  };
}

/** `SLIPWAY_ROOT`; else `/var/lib/slipway` for root and `$XDG_DATA_HOME/slipway` for others. */
export function defaultRoot(env: NodeJS.ProcessEnv = process.env, uid: number = process.getuid?.() ?? 0): string {
  if (env.SLIPWAY_ROOT) return env.SLIPWAY_ROOT;
  if (uid === 0) return '/var/lib/slipway';
  return join(env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'slipway');
}
