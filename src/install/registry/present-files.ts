import { createHash } from 'node:crypto';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { HostFile } from './registry-mirrors.js';

/** S_IFREG (inode(7)). */
const REGULAR = 0o100000;

/** Whether a host has these files with these contents and modes: one round trip, no content travels. */
export async function presentFiles(host: Host, files: readonly HostFile[]): Promise<boolean> {
  if (files.length === 0) return true;
  const paths = files.map(({ path }) => shellQuote(path)).join(' ');
  // Type and mode: nobody reads from a FIFO here.
  const modes = files.map(({ mode }) => (REGULAR | mode).toString(16));
  const sums = files.map(({ path, content }) => `${createHash('sha256').update(content).digest('hex')}  ${path}`);
  const { code } = await host.run(
    `[ "$(stat -c %f -- ${paths} 2>/dev/null)" = ${shellQuote(modes.join('\n'))} ] || exit 3
sha256sum -c >/dev/null 2>&1 <<'slipway-sums' || exit 3
${sums.join('\n')}
slipway-sums`,
    { title: 'looking at files of the host', allowFailure: true, timeoutMs: 60_000 },
  );
  return code === 0;
}
