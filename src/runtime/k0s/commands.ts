import { setTimeout as sleep } from 'node:timers/promises';
import { isSlipwayError } from '../../base/errors.js';
import type { CommandResult, Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { type CommandOptions, PASSING } from '../kubeadm/commands.js';
import { PATHS } from './paths.js';

const TRIES = 6;
const BETWEEN_MS = 3000;

/** `k0s` on a host, by its full name: PATH of a login without a terminal need not have /usr/local/bin. */
export function k0s(host: Host, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { signal, ...rest } = options;
  return host.run([PATHS.binary, ...args].map(shellQuote).join(' '), {
    timeoutMs: 60_000,
    title: `k0s ${args.slice(0, 2).join(' ')}`.trim(),
    ...rest,
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * `k0s kubectl` with the administrator's rights, on a master. What only a passing trouble keeps from being answered is asked again,
 * unless a failure is an answer as well (`allowFailure`).
 */
export async function kubectl(
  host: Host,
  _rootfs: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const command = ['kubectl', `--kubeconfig=${PATHS.admin}`, '--request-timeout=30s', ...args];
  const given = { title: `kubectl ${args[0] ?? ''}`.trim(), ...options };
  for (let tries = 1; ; tries++) {
    try {
      return await k0s(host, command, given);
    } catch (error) {
      if (tries === TRIES || !isSlipwayError(error, 'E_HOST_COMMAND') || !PASSING.test(error.message)) throw error;
    }
    await sleep(BETWEEN_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}
