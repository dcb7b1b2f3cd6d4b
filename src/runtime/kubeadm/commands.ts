import type { CommandResult, Host, RunOptions } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { PATHS } from './paths.js';

/** Options of a command of this driver. */
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

/** `kubectl` with the administrator's rights, on a master. */
export function kubectl(
  host: Host,
  rootfs: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const command = ['kubectl', `--kubeconfig=${PATHS.admin}`, '--request-timeout=30s', ...args]
    .map(shellQuote)
    .join(' ');
  return onHost(host, rootfs, command, { timeoutMs: 60_000, title: `kubectl ${args[0] ?? ''}`.trim(), ...options });
}

function firstLine(script: string): string {
  return script.trimStart().split('\n', 1)[0] ?? '';
}
