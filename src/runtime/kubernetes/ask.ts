import { setTimeout as sleep } from 'node:timers/promises';
import { isSlipwayError } from '../../base/errors.js';
import type { CommandResult, Host, RunOptions } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';

/** Options of a command of a driver. */
export interface CommandOptions extends Pick<RunOptions, 'stdin' | 'timeoutMs' | 'allowFailure' | 'title'> {
  readonly signal?: AbortSignal | undefined;
}

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

/** Runs kubectl with the administrator's rights on a master, as each driver does it. */
export type Kubectl = (
  host: Host,
  rootfs: string,
  args: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

/**
 * What an API server says while another one takes over: etcd elects a leader, its own etcd catches up, a balancer finds another one.
 * And what etcd says to who changes its members, in the seconds after one has come or gone.
 * The same request is answered some seconds later.
 */
export const PASSING =
  /etcdserver: (?:leader changed|request timed out|no leader|unhealthy cluster)|connection refused|the connection to the server \S+ was refused|connection reset|http2: client connection lost|TLS handshake timeout|i\/o timeout|unexpected EOF|apiserver is shutting down|currently unable to handle the request|context deadline exceeded/i;
const TRIES = 6;
const BETWEEN_MS = 3000;

/**
 * Makes kubectl of what runs a command on a host. What only a passing trouble keeps from being answered is asked again, unless a failure is
 * an answer as well (`allowFailure`).
 * @param run runs `kubectl` with these words, the first of which is `kubectl`
 */
export function kubectlBy(
  adminKubeconfig: string,
  run: (host: Host, rootfs: string, words: readonly string[], options: CommandOptions) => Promise<CommandResult>,
): Kubectl {
  return async (host, rootfs, args, options = {}) => {
    const words = ['kubectl', `--kubeconfig=${adminKubeconfig}`, '--request-timeout=30s', ...args];
    const given = { timeoutMs: 60_000, title: `kubectl ${args[0] ?? ''}`.trim(), ...options };
    for (let tries = 1; ; tries++) {
      try {
        return await run(host, rootfs, words, given);
      } catch (error) {
        if (tries === TRIES || !isSlipwayError(error, 'E_HOST_COMMAND') || !PASSING.test(error.message)) throw error;
      }
      await sleep(BETWEEN_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  };
}

function firstLine(script: string): string {
  return script.trimStart().split('\n', 1)[0] ?? '';
}
