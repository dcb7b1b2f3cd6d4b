import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import { CONTAINERD_CERTS, hostsFile, MIRROR_MARK, serverOf } from './registry-mirrors.js';

type Registry = Pick<RegistrySpec, 'domain' | 'port'>;

const NO_OWN_FILE = 90;
const LACKING = 91;

/**
 * What a host is told of an upstream registry is what it is told of the cluster's own, but for the server that is asked when that does not
 * answer: so it is made there from that, and no password is needed here. Settings of somebody else stay as they are.
 */
function functions(registry: Registry): string {
  return `own=${shellQuote(hostsFile(`${registry.domain}:${registry.port}`))}
ours() { [ "$(head -n 1 "$1" 2>/dev/null)" = ${shellQuote(MIRROR_MARK)} ]; }
ours "$own" || exit ${NO_OWN_FILE}
mirror() { sed "2s|^server = .*|server = \\"$1\\"|" "$own"; }
stays() { [ -e "$1" ] && ! ours "$1"; }
`;
}

/** Whether a host asks the cluster's registry for images of all these registries, or somebody else has settings for them. */
export async function hasMirrors(host: Host, registry: Registry, upstreams: readonly string[]): Promise<boolean> {
  const checks = upstreams.map((upstream) => {
    const file = shellQuote(hostsFile(upstream));
    return `stays ${file} || [ "$(mirror ${shellQuote(serverOf(upstream))})" = "$(cat ${file} 2>/dev/null)" ] || exit ${LACKING}`;
  });
  const { code } = await host.run(functions(registry) + checks.join('\n'), {
    title: 'looking at the mirrors of registries',
    allowFailure: true,
    timeoutMs: 60_000,
  });
  return code === 0;
}

/**
 * Lets a host ask the cluster's registry for images of these registries.
 * @returns false when the host does not pull from the cluster's registry by files of ours.
 * @throws SlipwayError E_HOST_COMMAND
 */
export async function addMirrors(host: Host, registry: Registry, upstreams: readonly string[]): Promise<boolean> {
  const commands = upstreams.map(
    (upstream) => `add ${shellQuote(hostsFile(upstream))} ${shellQuote(serverOf(upstream))}`,
  );
  const { code, stderr } = await host.run(
    `${functions(registry)}set -e
add() {
  if stays "$1"; then return; fi
  mkdir -p "\${1%/*}"
  (umask 077; mirror "$2" >"$1.new")
  chmod --reference="$own" "$1.new"
  mv -f "$1.new" "$1"
}
${commands.join('\n')}`,
    { title: 'mirroring registries', allowFailure: true, timeoutMs: 60_000 },
  );
  if (code === 0) return true;
  if (code === NO_OWN_FILE) return false;
  throw new SlipwayError(
    'E_HOST_COMMAND',
    `host ${host.address}: writing mirrors of ${upstreams.join(', ')} failed with exit code ${code}:\n${stderr.trim()}`,
    { hint: 'free some space on the host, or mend its file system, then run the same command again' },
  );
}

/** Whether a host has none of our settings for these registries. */
export async function lacksMirrors(host: Host, upstreams: readonly string[]): Promise<boolean> {
  const { stdout } = await host.run(ours(upstreams, 'echo "$f"'), {
    title: 'looking at the mirrors of registries',
    timeoutMs: 60_000,
  });
  return stdout.trim() === '';
}

/** Takes our settings for these registries away; those of somebody else stay. */
export async function removeMirrors(host: Host, upstreams: readonly string[]): Promise<void> {
  await host.run(ours(upstreams, 'rm -f "$f" && rmdir "${f%/*}" 2>/dev/null'), {
    title: 'removing mirrors of registries',
    timeoutMs: 60_000,
  });
}

/** A script that does something with our settings for these registries: their file is `$f`. */
function ours(upstreams: readonly string[], command: string): string {
  return `for u in ${upstreams.map(shellQuote).join(' ')}; do
  f=${CONTAINERD_CERTS}/$u/hosts.toml
  [ -f "$f" ] && [ "$(head -n 1 "$f")" = ${shellQuote(MIRROR_MARK)} ] || continue
  ${command}
done
true`;
}
