import bcrypt from 'bcryptjs';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import { presentFiles } from './present-files.js';
import type { RegistryCertificates } from './registry-certificates.js';

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
  certificates: RegistryCertificates | undefined,
): Promise<boolean> {
  const files = registryFiles(rootfs, registry.domain);
  if (certificates === undefined) {
    if (await host.exists(files.certificate)) return false;
  } else {
    const present = await presentFiles(host, [
      { path: files.certificate, content: certificates.certificate, mode: 0o644 },
      { path: files.key, content: certificates.key, mode: 0o600 },
    ]);
    if (!present) return false;
  }
  const htpasswd = (await host.readFile(files.htpasswd))?.toString('utf8');
  if (registry.username === undefined || registry.password === undefined) return htpasswd === undefined;
  return htpasswd !== undefined && matches(htpasswd, registry.username, registry.password);
}

/** Writes the registry's certificate, key and passwords. A hash that fits the password already stays: hashes differ each time. */
export async function writeRegistryFiles(
  host: Host,
  rootfs: string,
  registry: RegistrySpec,
  certificates: RegistryCertificates | undefined,
): Promise<void> {
  const files = registryFiles(rootfs, registry.domain);
  if (certificates === undefined) {
    const title = 'removing the certificate of the registry';
    await host.run(`rm -f ${shellQuote(files.certificate)} ${shellQuote(files.key)}`, { title });
  } else {
    await Promise.all([
      host.writeFile(files.certificate, certificates.certificate, { mode: 0o644 }),
      host.writeFile(files.key, certificates.key, { mode: 0o600 }),
    ]);
  }
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

function matches(htpasswd: string, username: string, password: string): boolean {
  const [name, hash] = htpasswd.trim().split(':');
  return name === username && hash !== undefined && bcrypt.compareSync(password, hash);
}
