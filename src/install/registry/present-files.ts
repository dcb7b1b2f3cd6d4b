import { createHash } from 'node:crypto';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { HostFile } from './registry-mirrors.js';

/** Whether a host has these files with these contents and modes: one round trip, no content travels. */
export async function presentFiles(host: Host, files: readonly HostFile[]): Promise<boolean> {
  const checks = files.map(({ path, content, mode }) => {
    const sum = createHash('sha256').update(content).digest('hex');
    return `check ${shellQuote(path)} ${sum} ${mode.toString(8)}`;
  });
  const { code } = await host.run(
    `check() { [ -f "$1" ] && [ "$(stat -c %a "$1")" = "$3" ] && sum=$(sha256sum <"$1") && [ "\${sum%% *}" = "$2" ] || exit 3; }\n${checks.join('\n')}`,
    { title: 'looking at files of the host', allowFailure: true, timeoutMs: 60_000 },
  );
  return code === 0;
}
