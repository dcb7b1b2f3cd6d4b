import { createHash } from 'node:crypto';
import { registerSecret } from '../../base/redact.js';
import type { RegistrySpec } from '../spec/cluster-spec.js';
import type { RegistryCertificates } from './registry-certificates.js';

/** How hosts get to the registry of a cluster, and what they trust. */
export interface RegistryAccess {
  readonly domain: string;
  readonly port: number;
  /** Without TLS. */
  readonly insecure: boolean;
  /** Addresses of the hosts that serve it, in the order in which they are asked; none when it is outside of the cluster. */
  readonly servers: readonly string[];
  /** There may be several servers: each host looks for one that answers by itself. */
  readonly ha: boolean;
  readonly external: boolean;
  /** PEM of the authorities that hosts trust for it; undefined: those that they know anyway, or none without TLS. */
  readonly ca: string | undefined;
  /** What it is served with; undefined when that is not ours, or without TLS. */
  readonly certificates: RegistryCertificates | undefined;
  /** Value of an Authorization header; undefined when everybody may pull. */
  readonly authorization: string | undefined;
}

/** Puts together what a specification says and what was made for it. */
export function registryAccess(
  spec: RegistrySpec,
  servers: readonly string[],
  certificates: RegistryCertificates | undefined,
): RegistryAccess {
  const { domain, port, username, password } = spec;
  return {
    domain,
    port,
    insecure: spec.insecure === true,
    servers,
    ha: spec.ha === true,
    external: spec.external === true,
    ca: spec.external === true ? spec.ca : certificates?.ca,
    certificates,
    authorization:
      username === undefined || password === undefined ? undefined : basicAuthorization(username, password),
  };
}

/** `sea.hub:5000`: what names of images begin with that are only there. */
export function registryName({ domain, port }: Pick<RegistryAccess, 'domain' | 'port'>): string {
  return `${domain}:${port}`;
}

/** `http` or `https`, and the address of a server. */
export function registryUrl({ insecure, port }: Pick<RegistryAccess, 'insecure' | 'port'>, host: string): string {
  return `${insecure ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The value is a secret as the password is; it will not be shown. */
export function basicAuthorization(username: string, password: string): string {
  const value = Buffer.from(`${username}:${password}`).toString('base64');
  registerSecret(value);
  return `Basic ${value}`;
}

/** What {@link basicAuthorization} was made from. */
export function basicLogin(authorization: string): { readonly username: string; readonly password: string } {
  const text = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Identifies an access without its credentials: a digest of a password could be guessed from. */
export function accessFacts({ domain, port, insecure, servers, ca }: RegistryAccess): readonly unknown[] {
  return [domain, port, insecure, servers, ca === undefined ? null : createHash('sha256').update(ca).digest('hex')];
}
