import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import { CONTAINERD_CERTS, MIRROR_MARK, serverOf } from './registry-mirrors.js';

type Registry = Pick<RegistrySpec, 'domain' | 'port'>;

/**
 * What a host is told of an upstream registry is what it is told of the cluster's own, but for the server that is asked when that does not
 * answer: so it is made there from that, and no password is needed here.
 */
function functions({ domain, port }: Registry): string {
  return `certs=${CONTAINERD_CERTS}
own=$certs/${shellQuote(`${domain}:${port}`)}/hosts.toml
mirror() { sed "s|^server = .*|server = \\"$1\\"|" "$own"; }
[ -f "$own" ] || { echo "$own is missing: the host pulls from no registry of the cluster" >&2; exit 1; }
`;
}

/** Whether a host asks the cluster's registry for images of all these registries. */
export async function hasMirrors(host: Host, registry: Registry, upstreams: readonly string[]): Promise<boolean> {
  const checks = upstreams.map(
    (upstream) =>
      `[ "$(mirror ${shellQuote(serverOf(upstream))})" = "$(cat "$certs/"${shellQuote(upstream)}/hosts.toml 2>/dev/null)" ] || exit 3`,
  );
  const { code } = await host.run(functions(registry) + checks.join('\n'), {
    title: 'looking at the mirrors of registries',
    allowFailure: true,
    timeoutMs: 60_000,
  });
  return code === 0;
}

/** Lets a host ask the cluster's registry for images of these registries. @throws SlipwayError E_HOST_COMMAND */
export async function addMirrors(host: Host, registry: Registry, upstreams: readonly string[]): Promise<void> {
  const commands = upstreams.map((upstream) => `add ${shellQuote(upstream)} ${shellQuote(serverOf(upstream))}`);
  await host.run(
    `${functions(registry)}set -e
add() {
  mkdir -p "$certs/$1"
  (umask 077; mirror "$2" >"$certs/$1/hosts.toml.new")
  chmod --reference="$own" "$certs/$1/hosts.toml.new"
  mv -f "$certs/$1/hosts.toml.new" "$certs/$1/hosts.toml"
}
${commands.join('\n')}`,
    { title: 'mirroring registries', timeoutMs: 60_000 },
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
