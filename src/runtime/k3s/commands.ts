import type { CommandResult, Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { type CommandOptions, kubectlBy, onHost as runOnHost } from '../kubernetes/ask.js';
import { PATHS } from './paths.js';

/** Runs a script on a host; k3s needs nothing of the rootfs on PATH. */
export function onHost(host: Host, script: string, options: CommandOptions = {}): Promise<CommandResult> {
  return runOnHost(host, undefined, script, options);
}

/** `k3s` on a host, by its full name: PATH of a login without a terminal need not have /usr/local/bin. */
export function k3s(host: Host, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return onHost(host, [PATHS.binary, ...args].map(shellQuote).join(' '), {
    timeoutMs: 60_000,
    title: `k3s ${args.slice(0, 2).join(' ')}`.trim(),
    ...options,
  });
}

/** `k3s kubectl` with the administrator's rights, on a master. */
export const kubectl = kubectlBy(PATHS.admin, (host, _rootfs, words, options) => k3s(host, words, options));
