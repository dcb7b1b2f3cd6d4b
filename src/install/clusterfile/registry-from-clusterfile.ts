import { readFile } from 'node:fs/promises';
import { messageOf } from '../../base/errors.js';
import { type ClusterSpec, DEFAULTS } from '../spec/cluster-spec.js';
import { normalizeIp } from '../spec/ip-list.js';
import type { ClusterDocument, SecretDocument } from './schema.js';
import { type Resolved, resolvePath, resolveSecret, type ValueSources } from './secret-value.js';
import { defined, type Path } from './values.js';

type Accept = (path: Path, resolved: Resolved) => string | undefined;
type Wrong = (path: Path, why: string) => void;
type RegistryDocument = NonNullable<ClusterDocument['spec']['registry']>;

const DOMAIN = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;
const EXTERNAL_PORT = 443;
const BEGIN = '-----BEGIN CERTIFICATE-----';

/**
 * The registry that a Clusterfile describes: one that masters serve, unless it names one outside of the cluster.
 * @param accept gives the value that was found, or takes down why there is none.
 * @param wrong takes down a mistake.
 */
export async function readRegistry(
  { localRegistry, externalRegistry }: RegistryDocument = {},
  accept: Accept,
  wrong: Wrong,
  sources: ValueSources,
): Promise<ClusterSpec['registry']> {
  const at = ['spec', 'registry'];
  if (localRegistry !== undefined && externalRegistry !== undefined)
    wrong(
      at,
      'the images are in a registry of the cluster or in an external one: give localRegistry or externalRegistry',
    );
  if (externalRegistry === undefined) return readLocal(localRegistry, [...at, 'localRegistry'], accept, wrong, sources);
  return readExternal(externalRegistry, [...at, 'externalRegistry'], accept, wrong, sources);
}

async function readLocal(
  local: NonNullable<RegistryDocument['localRegistry']> = {},
  at: Path,
  accept: Accept,
  wrong: Wrong,
  sources: ValueSources,
): Promise<ClusterSpec['registry']> {
  const { domain = DEFAULTS.registry.domain, port = DEFAULTS.registry.port, cert, ha, insecure } = local;
  checkDomain(domain, at, wrong);
  const { dnsNames = [], ips = [] } = cert?.subjectAltName ?? {};
  for (const [index, ip] of ips.entries())
    if (normalizeIp(ip) === undefined)
      wrong([...at, 'cert', 'subjectAltName', 'ips', index], `${JSON.stringify(ip)} is not an IP address`);
  return {
    domain,
    port,
    ...defined({ ha, insecure }),
    ...(await readCredential(local, at, accept, wrong, sources)),
    names: [...dnsNames, ...ips.map((ip) => normalizeIp(ip) ?? ip)],
  };
}

async function readExternal(
  external: NonNullable<RegistryDocument['externalRegistry']>,
  at: Path,
  accept: Accept,
  wrong: Wrong,
  sources: ValueSources,
): Promise<ClusterSpec['registry']> {
  const { domain, port = EXTERNAL_PORT, insecure, ca } = external;
  checkDomain(domain, at, wrong);
  if (insecure === true && ca !== undefined) wrong([...at, 'ca'], 'without TLS there is no certificate to check');
  return {
    domain,
    port,
    external: true,
    ...defined({ insecure, ca: ca === undefined ? undefined : await readAuthority(ca, [...at, 'ca'], wrong, sources) }),
    ...(await readCredential(external, at, accept, wrong, sources)),
  };
}

async function readCredential(
  { username, password }: { readonly username?: string | undefined; readonly password?: SecretDocument | undefined },
  at: Path,
  accept: Accept,
  wrong: Wrong,
  sources: ValueSources,
): Promise<Pick<ClusterSpec['registry'], 'username' | 'password'>> {
  if ((username === undefined) !== (password === undefined)) wrong(at, 'username and password belong together');
  if (username?.includes(':') === true) wrong([...at, 'username'], 'a name of a user has no ":" in it');
  const resolved =
    password === undefined ? undefined : accept([...at, 'password'], await resolveSecret(password, sources));
  return defined({ username, password: resolved });
}

function checkDomain(domain: string, at: Path, wrong: Wrong): void {
  if (!DOMAIN.test(domain)) wrong([...at, 'domain'], 'not a host name in lower case');
}

async function readAuthority(path: string, at: Path, wrong: Wrong, sources: ValueSources): Promise<string | undefined> {
  // As "gen" writes it.
  if (path.includes(BEGIN)) return `${path.trim()}\n`;
  const file = resolvePath(path, sources);
  try {
    const text = await readFile(file, 'utf8');
    if (text.includes(BEGIN)) return `${text.trim()}\n`;
    wrong(at, `${file} holds no certificate (PEM)`);
  } catch (error) {
    wrong(at, `${file} cannot be read: ${messageOf(error)}`);
  }
  return undefined;
}
