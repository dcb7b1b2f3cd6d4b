import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls from 'node:tls';
import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';

/** Where distributions keep the bundle of trusted CAs; the first that exists is used, as in Go's crypto/x509. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
] as const;

/** Per-host directories of docker and of containers/image; certs.d(5). */
const CERTS_D = ['/etc/docker/certs.d', '/etc/containers/certs.d'] as const;

export interface TlsSources {
  /** Directory given by the user, for every host. */
  readonly certDir?: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Parents of the per-host directories; default docker's and containers'. */
  readonly certsD?: readonly string[];
}

/**
 * The TLS context for a host: the system's CAs (or `SSL_CERT_FILE`), `NODE_EXTRA_CA_CERTS`, and the `*.crt`, `*.cert` and `*.key` of the
 * directories for this host.
 * @param host `name[:port]` as in the image name.
 * @throws SlipwayError E_USAGE when a certificate file cannot be read or parsed.
 */
export async function tlsContext(
  host: string,
  { certDir, env, certsD = CERTS_D }: TlsSources,
): Promise<tls.SecureContext> {
  const ca = await systemCas(env);
  const extra = env.NODE_EXTRA_CA_CERTS;
  if (extra !== undefined && extra !== '') ca.push(await readText(extra));
  let client: { cert: string; key: string } | undefined;
  // An image name may say the port that https has anyway, and then its directory is named so.
  const names = /:\d+$/.test(host) ? [host] : [host, `${host}:443`];
  const dirs = [
    ...(certDir === undefined ? [] : [certDir]),
    ...certsD.flatMap((dir) => names.map((name) => join(dir, name))),
  ];
  for (const dir of dirs) {
    const found = await readCertDir(dir, dir === certDir);
    ca.push(...found.ca);
    client ??= found.client;
  }
  try {
    return tls.createSecureContext({ ca, ...client });
  } catch (cause) {
    throw new SlipwayError('E_USAGE', `cannot use the certificates for ${host}: ${messageOf(cause)}`, {
      hint: `look into ${dirs.join(', ')}: *.crt holds CAs, *.cert and *.key the client certificate, all in PEM`,
      cause,
    });
  }
}

async function systemCas(env: NodeJS.ProcessEnv): Promise<string[]> {
  const given = env.SSL_CERT_FILE;
  if (given !== undefined && given !== '') return [await readText(given)];
  for (const file of SYSTEM_BUNDLES) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return [text];
  }
  return [...tls.rootCertificates];
}

interface CertDir {
  readonly ca: readonly string[];
  readonly client: { readonly cert: string; readonly key: string } | undefined;
}

async function readCertDir(dir: string, mustExist: boolean): Promise<CertDir> {
  let names: string[];
  try {
    names = (await readdir(dir)).sort();
  } catch (cause) {
    if (!mustExist && (errnoOf(cause) === 'ENOENT' || errnoOf(cause) === 'ENOTDIR'))
      return { ca: [], client: undefined };
    const why = errnoOf(cause) === 'ENOENT' ? 'there is no such directory' : messageOf(cause);
    throw new SlipwayError('E_USAGE', `cannot read the certificate directory ${dir}: ${why}`, {
      hint: 'name a directory with *.crt (authorities), or NAME.cert and NAME.key (client certificate), in PEM',
      cause,
    });
  }
  const ca = await Promise.all(names.filter((name) => name.endsWith('.crt')).map((name) => readText(join(dir, name))));
  const certName = names.find((name) => name.endsWith('.cert'));
  if (certName === undefined) return { ca, client: undefined };
  const keyName = certName.replace(/\.cert$/, '.key');
  if (!names.includes(keyName)) {
    throw new SlipwayError('E_USAGE', `${join(dir, certName)} has no ${keyName} beside it`, {
      hint: 'a client certificate NAME.cert needs its private key in NAME.key',
    });
  }
  return { ca, client: { cert: await readText(join(dir, certName)), key: await readText(join(dir, keyName)) } };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const why = errnoOf(cause) === 'ENOENT' ? 'there is no such file' : messageOf(cause);
    throw new SlipwayError('E_USAGE', `cannot read the certificate ${file}: ${why}`, { cause });
  }
}
