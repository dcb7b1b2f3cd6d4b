import { setTimeout as sleep } from 'node:timers/promises';
import { isSlipwayError } from '../../base/errors.js';
import type { CommandResult, Host, RunOptions } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { PATHS } from './paths.js';

/** Options of a command of this driver. */
export interface CommandOptions extends Pick<RunOptions, 'stdin' | 'timeoutMs' | 'allowFailure' | 'title'> {
  readonly signal?: AbortSignal | undefined;
}

/** Runs kubectl with the administrator's rights, as each driver does it. */
export type Kubectl = (
  host: Host,
  rootfs: string,
  args: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

/** Runs a script on a host that finds the image's programs even when init.sh has not put them on PATH. */
export function onHost(
  host: Host,
  rootfs: string | undefined,
  script: string,
  { signal, ...options }: CommandOptions = {},
): Promise<CommandResult> {
  const path = rootfs === undefined ? '' : `PATH="$PATH":${shellQuote(`${rootfs}/bin`)}; export PATH\n`;
  return host.run(`${path}${script}`, {
    title: firstLine(script),
    ...options,
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * What an API server says while another one takes over: etcd elects a leader, its own etcd catches up, a balancer finds another one.
 * The same request is answered some seconds later.
 */
export const PASSING =
  /etcdserver: (?:leader changed|request timed out|no leader)|connection refused|the connection to the server \S+ was refused|connection reset|http2: client connection lost|TLS handshake timeout|i\/o timeout|unexpected EOF|apiserver is shutting down|currently unable to handle the request|context deadline exceeded/i;
const TRIES = 6;
const BETWEEN_MS = 3000;

/**
 * `kubectl` with the administrator's rights, on a master. What only a passing trouble keeps from being answered is asked again, unless
 * a failure is an answer as well (`allowFailure`).
 */
export async function kubectl(
  host: Host,
  rootfs: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const command = ['kubectl', `--kubeconfig=${PATHS.admin}`, '--request-timeout=30s', ...args]
    .map(shellQuote)
    .join(' ');
  const given = { timeoutMs: 60_000, title: `kubectl ${args[0] ?? ''}`.trim(), ...options };
  for (let tries = 1; ; tries++) {
    try {
      return await onHost(host, rootfs, command, given);
    } catch (error) {
      if (tries === TRIES || !isSlipwayError(error, 'E_HOST_COMMAND') || !PASSING.test(error.message)) throw error;
    }
    await sleep(BETWEEN_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

function firstLine(script: string): string {
  return script.trimStart().split('\n', 1)[0] ?? '';
}
