import type { CommandResult, Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { type CommandOptions, kubectlBy } from '../kubernetes/ask.js';
import { PATHS } from './paths.js';

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

/** `k0s kubectl` with the administrator's rights, on a master. */
export const kubectl = kubectlBy(PATHS.admin, (host, _rootfs, words, options) => k0s(host, words, options));
