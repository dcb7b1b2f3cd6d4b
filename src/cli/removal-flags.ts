import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { askText } from './prompt.js';

const DEFAULT_DRAIN_SECONDS = 300;

/** The flags of commands that take hosts out of a cluster. */
export interface RemovalFlags {
  readonly drainTimeout?: string;
  readonly force?: boolean;
}

/** @param force its short form too where `-f` is free. */
export function addRemovalFlags(command: Command, force: '--force' | '-f, --force'): Command {
  return addDrainFlag(command).option(force, 'do not ask before hosts are taken out');
}

export interface SkipHooksFlag {
  readonly skipHooks?: boolean;
}

export function addSkipHooksFlag(command: Command): Command {
  return command.option('--skip-hooks', 'do not run the hooks that plugins have for hosts that are cleaned');
}

export function addDrainFlag(command: Command): Command {
  return command.option(
    '--drain-timeout <seconds>',
    'how long the pods of a node may take to go elsewhere before it is stopped; 0: they are not waited for (default: 300)',
  );
}

/** How long nodes are drained, in milliseconds. @throws SlipwayError E_USAGE */
export function drainTimeoutMs({
  drainTimeout = String(DEFAULT_DRAIN_SECONDS),
}: Pick<RemovalFlags, 'drainTimeout'>): number {
  if (!/^\d{1,6}$/.test(drainTimeout)) {
    throw new SlipwayError('E_USAGE', `--drain-timeout ${drainTimeout} is not a number of seconds`);
  }
  return Number(drainTimeout) * 1000;
}

/** Asks before hosts are taken out of a cluster. @throws SlipwayError E_USAGE without a yes. */
export async function confirmRemoval(
  cluster: string,
  addresses: readonly string[],
  { force }: RemovalFlags,
): Promise<void> {
  if (force || addresses.length === 0) return;
  const what = `${addresses.join(', ')} ${addresses.length === 1 ? 'leaves' : 'leave'} cluster ${cluster}, and everything of it on ${addresses.length === 1 ? 'this host' : 'these hosts'} is removed`;
  if (!process.stdin.isTTY) {
    throw new SlipwayError('E_USAGE', `${what}; there is no terminal to ask at`, { hint: 'add --force' });
  }
  const answer = await askText(`${what}. Go on? [y/N] `);
  if (!/^y(es)?$/i.test(answer.trim())) throw new SlipwayError('E_USAGE', 'nothing was changed');
}
