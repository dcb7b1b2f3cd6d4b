import { createHash } from 'node:crypto';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { PluginSpec } from '../spec/plugin-spec.js';

/** How long a hook may take on a host when it does not say. */
export const DEFAULT_TIMEOUT_MS = 30 * 60_000;

export interface ShellHookRun {
  /** Where it runs; the image's programs are in its PATH. Undefined: `/`, with nothing of the image. */
  readonly rootfs: string | undefined;
  /** The host is cleaned: when it has no rootfs any more, or never had, it is passed over. */
  readonly leaving?: boolean;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Runs the script of a SHELL plugin on a host, with bash. It ends with the exit code of its last command, as in sealer.
 * @throws SlipwayError E_HOST_COMMAND, E_TIMEOUT with the last lines that it printed, and where it was written down.
 */
export async function runShellHook(
  host: Host,
  plugin: PluginSpec,
  { rootfs, leaving = false, env, signal }: ShellHookRun,
): Promise<void> {
  const { name, source, timeoutMs = DEFAULT_TIMEOUT_MS } = plugin;
  try {
    await host.run(shellHookScript(plugin.data, { rootfs, leaving }), {
      title: `hook ${name}`,
      env,
      timeoutMs,
      signal,
    });
  } catch (error) {
    if (!isSlipwayError(error, 'E_HOST_COMMAND', 'E_TIMEOUT')) throw error;
    const mend = leaving ? 'leave hooks out with --skip-hooks' : `mend plugin ${name} in ${source}`;
    const hint = error.code === 'E_TIMEOUT' ? `${mend}, or give it more time there ("timeout: 1h")` : mend;
    throw new SlipwayError(error.code, error.message, {
      hint: error.hint === undefined ? hint : `${error.hint}; ${hint}`,
      cause: error,
      ...(error.details === undefined ? {} : { details: error.details }),
    });
  }
}

/**
 * What the host's shell is given. The script is read by bash from a here-document: it is no word of a command line, which others on the
 * host could see and which has a largest length, and the script's own standard input stays free. Pure.
 */
export function shellHookScript(
  data: string,
  { rootfs, leaving = false }: Pick<ShellHookRun, 'rootfs' | 'leaving'>,
): string {
  const end = `SLIPWAY_HOOK_${createHash('sha256').update(data).digest('hex').slice(0, 32)}`;
  const missing = leaving ? '{ echo "nothing of the image is on this host: not run"; exit 0; }' : 'exit 1';
  const enter =
    rootfs === undefined
      ? 'cd / || exit 1'
      : `cd ${shellQuote(rootfs)}${leaving ? ' 2>/dev/null' : ''} || ${missing}\nPATH="${rootfs}/bin:$PATH"; export PATH`;
  return `${enter}\nexec bash /dev/fd/3 3<<'${end}'\n${data}${data.endsWith('\n') ? '' : '\n'}${end}`;
}
