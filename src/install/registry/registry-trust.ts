import type { Host } from '../../hosts/host.js';
import { type RegistryAccess, registryName } from './registry-access.js';
import { authorityFile, authorizationOf, hostsFile, type MirrorAccess, mirrorFiles } from './registry-mirrors.js';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** What a host knows of the registry now: from whom it takes certificates, and as whom it pulls. Undefined when it does not pull from it yet. */
export interface KnownRegistry {
  readonly ca: string | undefined;
  readonly authorization: string | undefined;
}

/** Asks a host. Changes nothing. */
export async function knownRegistry(
  host: Host,
  access: Pick<RegistryAccess, 'domain' | 'port'>,
): Promise<KnownRegistry | undefined> {
  const [hosts, ca] = await Promise.all([
    host.readFile(hostsFile(registryName(access))),
    host.readFile(authorityFile(access)),
  ]);
  if (hosts === undefined) return undefined;
  return { ca: ca?.toString('utf8'), authorization: authorizationOf(hosts.toString('utf8')) };
}

/** Whether a host can go on pulling when the registry has the certificate and the passwords of `access`. Pure. */
export function acceptsNext(known: KnownRegistry, access: Pick<RegistryAccess, 'ca' | 'authorization'>): boolean {
  return known.authorization === access.authorization && withAuthorities(known.ca, access.ca) === known.ca;
}

/**
 * Lets a host pull from the registry as it is and as it will be: it trusts the authorities of both, and tries the password that comes before the
 * one that was.
 */
export async function acceptNext(
  host: Host,
  known: KnownRegistry,
  access: MirrorAccess,
  upstreams: readonly string[],
): Promise<void> {
  const ca = withAuthorities(known.ca, access.ca);
  for (const { path, content, mode } of mirrorFiles({ ...access, ca }, upstreams, known.authorization)) {
    await host.writeFile(path, content, { mode });
  }
}

/** Those certificates with those of `more` that are not among them; PEM. Pure. */
export function withAuthorities(known: string | undefined, more: string | undefined): string | undefined {
  if (known === undefined) return more;
  const missing = (more?.match(CERTIFICATE) ?? []).filter((one) => !known.includes(one));
  return missing.length === 0 ? known : `${known.trimEnd()}\n${missing.join('\n')}\n`;
}
