import type { RegistrySpec } from '../spec/cluster-spec.js';

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

export function serverOf(upstream: string): string {
  return SERVERS[upstream] ?? upstream;
}

/**
 * The files that let containerd on a host pull from the cluster's registry: by its own name, and by the name of every upstream registry
 * that the image list has, so that a pod written for `docker.io/…` finds its image here. What is not here is asked for upstream,
 * where there is a way. Pure.
 * Source: containerd, docs/hosts.md.
 */
export function mirrorFiles(registry: RegistrySpec, upstreams: readonly string[], ca: string): readonly HostFile[] {
  const own = `${registry.domain}:${registry.port}`;
  const caFile = `${CONTAINERD_CERTS}/${own}/ca.crt`;
  const hosts = [own, ...upstreams.filter((host) => host !== own)];
  // With a password in them the files are root's alone.
  const mode = registry.password === undefined ? 0o644 : 0o600;
  return [
    { path: caFile, content: ca, mode: 0o644 },
    ...hosts.map((host) => ({
      path: `${CONTAINERD_CERTS}/${host}/hosts.toml`,
      content: hostsToml(host === own ? own : serverOf(host), registry, caFile),
      mode,
    })),
  ];
}

function hostsToml(server: string, { domain, port, username, password }: RegistrySpec, caFile: string): string {
  const own = `${domain}:${port}`;
  const lines = [
    MIRROR_MARK,
    `server = ${tomlString(`https://${server}`)}`,
    '',
    `[host.${tomlString(`https://${own}`)}]`,
    '  capabilities = ["pull", "resolve"]',
    `  ca = ${tomlString(caFile)}`,
  ];
  if (username !== undefined && password !== undefined) {
    const basic = Buffer.from(`${username}:${password}`).toString('base64');
    lines.push(
      `  [host.${tomlString(`https://${own}`)}.header]`,
      `    Authorization = [${tomlString(`Basic ${basic}`)}]`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** A TOML basic string; JSON's escapes are a subset of TOML's. */
function tomlString(text: string): string {
  return JSON.stringify(text);
}
