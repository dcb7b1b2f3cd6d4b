import { createHash } from 'node:crypto';
import bcrypt from 'bcryptjs';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import type { RegistryCertificates } from './registry-certificates.js';
import type { HostFile } from './registry-mirrors.js';

const BCRYPT_ROUNDS = 10;

/** Where the registry's certificate, key and passwords are in a rootfs; sealer's places, which `init-registry.sh` reads. */
export function registryFiles(
  rootfs: string,
  domain: string,
): { readonly certificate: string; readonly key: string; readonly htpasswd: string } {
  const dir = `${rootfs}/certs`;
  return { certificate: `${dir}/${domain}.crt`, key: `${dir}/${domain}.key`, htpasswd: `${dir}/registry_htpasswd` };
}

/** Whether the host has what the registry is to be started with. */
export async function hasRegistryFiles(
  host: Host,
  rootfs: string,
  registry: RegistrySpec,
  { certificate, key }: RegistryCertificates,
): Promise<boolean> {
  const files = registryFiles(rootfs, registry.domain);
  const present = await presentFiles(host, [
    { path: files.certificate, content: certificate, mode: 0o644 },
    { path: files.key, content: key, mode: 0o600 },
  ]);
  if (!present) return false;
  const htpasswd = (await host.readFile(files.htpasswd))?.toString('utf8');
  if (registry.username === undefined || registry.password === undefined) return htpasswd === undefined;
  return htpasswd !== undefined && matches(htpasswd, registry.username, registry.password);
}

/** Writes the registry's certificate, key and passwords. A hash that fits the password already stays: hashes differ each time. */
export async function writeRegistryFiles(
  host: Host,
  rootfs: string,
  registry: RegistrySpec,
  { certificate, key }: RegistryCertificates,
): Promise<void> {
  const files = registryFiles(rootfs, registry.domain);
  await host.writeFile(files.certificate, certificate, { mode: 0o644 });
  await host.writeFile(files.key, key, { mode: 0o600 });
  const { username, password } = registry;
  if (username === undefined || password === undefined) {
    await host.run(`rm -f ${shellQuote(files.htpasswd)}`, { title: 'removing the passwords of the registry' });
    return;
  }
  const htpasswd = (await host.readFile(files.htpasswd))?.toString('utf8');
  if (htpasswd !== undefined && matches(htpasswd, username, password)) return;
  await host.writeFile(files.htpasswd, await htpasswdLine(username, password), { mode: 0o600 });
}

/** A line of an htpasswd file (bcrypt), as Docker distribution reads it. */
export async function htpasswdLine(username: string, password: string): Promise<string> {
  return `${username}:${await bcrypt.hash(password, BCRYPT_ROUNDS)}\n`;
}

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

function matches(htpasswd: string, username: string, password: string): boolean {
  const [name, hash] = htpasswd.trim().split(':');
  return name === username && hash !== undefined && bcrypt.compareSync(password, hash);
}
