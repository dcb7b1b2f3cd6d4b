import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { type RegistryAccess, registryName } from './registry-access.js';
import { hostsFile, MIRROR_MARK, serverOf } from './registry-mirrors.js';

const NO_FILE = 90;

/**
 * Lets a host ask the cluster's registry for images of one more registry: with what it has for the cluster's own, so that no password is needed
 * here. A file that is there stays, whoever wrote it.
 * @returns false when the host does not pull from the registry by files of ours.
 */
export async function addMirror(
  host: Host,
  access: Pick<RegistryAccess, 'domain' | 'port'>,
  upstream: string,
): Promise<boolean> {
  const { code } = await host.run(
    `own=${shellQuote(hostsFile(registryName(access)))}
[ -f "$own" ] && [ "$(head -n 1 "$own")" = ${shellQuote(MIRROR_MARK)} ] || exit ${NO_FILE}
file=${shellQuote(hostsFile(upstream))}
[ ! -e "$file" ] || exit 0
mkdir -p "\${file%/*}" || exit 1
umask 077
sed ${shellQuote(`2s|^server = .*|server = "${serverOf(upstream)}"|`)} "$own" >"$file.new" || exit 1
chmod --reference="$own" "$file.new" && mv -f "$file.new" "$file"`,
    { title: `mirroring ${upstream}`, allowFailure: true, timeoutMs: 60_000 },
  );
  if (code === 0) return true;
  if (code === NO_FILE) return false;
  throw new SlipwayError('E_HOST_COMMAND', `host ${host.address}: writing ${hostsFile(upstream)} failed`, {
    hint: 'free some space on the host, or mend its file system, then run the same command again',
  });
}
