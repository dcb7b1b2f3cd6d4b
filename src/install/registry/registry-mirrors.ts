import type { RuntimeDriver } from '../../runtime/driver.js';
import { basicLogin, type RegistryAccess, registryName, registryUrl } from './registry-access.js';

/** Where containerd looks for registries' settings (`config_path`). */
export const CONTAINERD_CERTS = '/etc/containerd/certs.d';

/** Marks files as ours, for `reset`. */
export const MIRROR_MARK = '# written by slipway';

/** A file on a host. */
export interface HostFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

/** The server behind a registry's name where it is another one. */
const SERVERS: Readonly<Record<string, string>> = { 'docker.io': 'registry-1.docker.io' };
const HTTPS_PORT = 443;

/** What of a {@link RegistryAccess} the files on hosts are made from. */
export type MirrorAccess = Pick<
  RegistryAccess,
  'domain' | 'port' | 'insecure' | 'servers' | 'ha' | 'ca' | 'authorization'
>;

/** The file with the authorities that a host trusts for the registry. */
export function authorityFile(access: Pick<RegistryAccess, 'domain' | 'port'>): string {
  return `${CONTAINERD_CERTS}/${registryName(access)}/ca.crt`;
}

/** The file that says how containerd gets at images of a registry. */
export function hostsFile(host: string): string {
  return `${CONTAINERD_CERTS}/${host}/hosts.toml`;
}

/**
 * The files that let containerd on a host pull from the cluster's registry: by its own name, and by the name of every upstream registry
 * that the image list has, so that a pod written for `docker.io/…` finds its image here. What is not here is asked for upstream,
 * where there is a way. Pure.
 * @param former the Authorization that the registry may still want in the place of that of `access`.
 * Source: containerd, docs/hosts.md.
 */
export function mirrorFiles(access: MirrorAccess, upstreams: readonly string[], former?: string): readonly HostFile[] {
  const own = ownNames(access);
  const hosts = [...own, ...upstreams.filter((host) => !own.includes(host))];
  // With a password in them the files are root's alone.
  const mode = access.authorization === undefined && former === undefined ? 0o644 : 0o600;
  return [
    ...(access.ca === undefined ? [] : [{ path: authorityFile(access), content: access.ca, mode: 0o644 }]),
    ...hosts.map((host) => ({
      path: hostsFile(host),
      content: hostsToml(own.includes(host) ? registryUrl(access, access.domain) : serverOf(host), access, former),
      mode,
    })),
  ];
}

/** Where images of a registry are asked for that are not in the cluster's. */
export function serverOf(host: string): string {
  return `https://${SERVERS[host] ?? host}`;
}

/** {@link mirrorFiles}, in the form that the containerd of a runtime reads. Pure. */
export function runtimeMirrorFiles(
  { registrySettings }: Pick<RuntimeDriver, 'registrySettings'>,
  access: MirrorAccess,
  upstreams: readonly string[],
  former?: string,
): readonly HostFile[] {
  if (registrySettings === undefined) return mirrorFiles(access, upstreams, former);
  const { domain, servers, ha, ca, authorization } = access;
  const settings = registrySettings({
    own: ownNames(access),
    endpoints: [domain, ...(ha ? servers : [])].map((host) => registryUrl(access, host)),
    upstreams,
    caFile: ca === undefined ? undefined : authorityFile(access),
    login: authorization === undefined ? undefined : basicLogin(authorization),
  });
  return [...(ca === undefined ? [] : [{ path: authorityFile(access), content: ca, mode: 0o644 }]), settings];
}

/** How names of images begin that are only in this registry; the port of https may be left out. */
function ownNames(access: Pick<RegistryAccess, 'domain' | 'port'>): readonly string[] {
  const name = registryName(access);
  return access.port === HTTPS_PORT ? [access.domain, name] : [name];
}

/**
 * containerd asks the hosts of a file in turn, and goes on to the next when one refuses the connection or the password. So, beside the name
 * there are the addresses of all servers, for the moment in which one has ended and the name does not lead to another one yet; and for
 * each, while passwords change, a second entry with the former one: `/v2` makes it another entry for the same place.
 */
function hostsToml(server: string, access: MirrorAccess, former: string | undefined): string {
  const { domain, servers, ha, ca, authorization } = access;
  const places = [domain, ...(ha ? servers : [])].map((host) => registryUrl(access, host));
  const entries = places.flatMap((url) => [
    { url, header: authorization },
    ...(former === undefined || former === authorization ? [] : [{ url: `${url}/v2`, header: former }]),
  ]);
  const lines = [MIRROR_MARK, `server = ${tomlString(server)}`];
  for (const { url, header } of entries) {
    lines.push('', `[host.${tomlString(url)}]`, '  capabilities = ["pull", "resolve"]');
    if (ca !== undefined) lines.push(`  ca = ${tomlString(authorityFile(access))}`);
    if (header !== undefined) {
      lines.push(`  [host.${tomlString(url)}.header]`, `    Authorization = [${tomlString(header)}]`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** The Authorization that a file of ours has first; undefined when it has none. Pure. */
export function authorizationOf(hostsToml: string): string | undefined {
  const [, text] = /^\s*Authorization = \[("(?:[^"\\]|\\.)*")\]$/m.exec(hostsToml) ?? [];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A TOML basic string; JSON's escapes are a subset of TOML's. */
function tomlString(text: string): string {
  return JSON.stringify(text);
}
