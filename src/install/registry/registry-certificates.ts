import { randomBytes, webcrypto } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { errnoOf, fileSystemError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { replaceFile } from '../../store/durable.js';

/** The keys and certificates of a cluster's registry, PEM. */
export interface RegistryCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const YEAR_MS = 365.25 * 24 * 60 * 60 * 1000;
/** Places without internet are visited seldom; nobody but the hosts of this cluster trusts this CA. */
const LIFE_MS = 100 * YEAR_MS;
/** Certificates begin in the past: clocks of hosts may differ. */
const BACKDATE_MS = 24 * 60 * 60 * 1000;
const RENEW_MS = YEAR_MS;

/**
 * The registry's certificates of a cluster: those kept in `dir`, when they are good for all of `names` (host names and IP addresses), else
 * new ones from the cluster's own CA, which is made once. Keys are only readable by their owner.
 */
export async function registryCertificates(
  dir: string,
  clusterName: string,
  names: readonly string[],
): Promise<RegistryCertificates> {
  try {
    await makeDirectory(dir, 0o700);
    const kept = await readServer(dir);
    const ca = await readText(join(dir, 'ca.crt'));
    // The key of the CA may be lost with the machine that had it: what it has signed is good all the same.
    if (kept !== undefined && ca !== undefined) {
      const known = new x509.X509Certificate(ca);
      if (await isGood(kept.certificate, names, known)) return { ca: pem(known), ...kept };
    }
    const authority = await readAuthority(dir, clusterName);
    const made = await makeServer(authority, names);
    await writeSecret(join(dir, 'registry.key'), made.key);
    await writeSecret(join(dir, 'registry.crt'), made.certificate);
    return { ca: pem(authority.certificate), ...made };
  } catch (error) {
    throw fileSystemError(error, `writing the registry's certificates in ${dir}`);
  }
}

/**
 * New certificates in the place of those that are kept: a new CA too, whatever was trusted before. Killed on the way it leaves what
 * {@link registryCertificates} completes.
 */
export async function renewRegistryCertificates(
  dir: string,
  clusterName: string,
  names: readonly string[],
): Promise<RegistryCertificates> {
  try {
    for (const name of ['ca.crt', 'ca.key', 'registry.crt', 'registry.key']) await rm(join(dir, name), { force: true });
  } catch (error) {
    throw fileSystemError(error, `removing the registry's certificates in ${dir}`);
  }
  return registryCertificates(dir, clusterName, names);
}

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

async function readAuthority(dir: string, clusterName: string): Promise<Authority> {
  const [certificate, key] = await Promise.all([readText(join(dir, 'ca.crt')), readText(join(dir, 'ca.key'))]);
  if (certificate !== undefined && key !== undefined) {
    const der = x509.PemConverter.decodeFirst(key);
    return {
      certificate: new x509.X509Certificate(certificate),
      key: await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
    };
  }
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: distinguishedName(`slipway registry CA of ${clusterName}`),
    ...lifetime(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The certificate last: with it the pair counts as complete.
  await writeSecret(join(dir, 'ca.key'), await exportKey(keys.privateKey));
  await writeSecret(join(dir, 'ca.crt'), pem(made));
  return { certificate: made, key: keys.privateKey };
}

async function makeServer(
  { certificate: ca, key: caKey }: Authority,
  names: readonly string[],
): Promise<{ readonly certificate: string; readonly key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: distinguishedName(names[0] ?? 'registry'),
    issuer: ca.subjectName,
    ...lifetime(),
    publicKey: keys.publicKey,
    signingKey: caKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names.map(generalName)),
      await x509.AuthorityKeyIdentifierExtension.create(ca),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await exportKey(keys.privateKey) };
}

/** Whether a certificate is from this CA, has all the names, and lives long enough. */
async function isGood(pem: string, names: readonly string[], ca: x509.X509Certificate): Promise<boolean> {
  try {
    const certificate = new x509.X509Certificate(pem);
    const extension = certificate.getExtension(x509.SubjectAlternativeNameExtension);
    const has = new Set(extension?.names.items.map(({ value }) => value.toLowerCase()) ?? []);
    if (!names.every((name) => has.has(name.toLowerCase()))) return false;
    if (certificate.notAfter.getTime() - Date.now() < RENEW_MS) return false;
    return await certificate.verify({ publicKey: ca.publicKey, signatureOnly: true });
  } catch {
    return false;
  }
}

async function readServer(dir: string): Promise<{ readonly certificate: string; readonly key: string } | undefined> {
  const [certificate, key] = await Promise.all([
    readText(join(dir, 'registry.crt')),
    readText(join(dir, 'registry.key')),
  ]);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

function generalName(name: string): x509.GeneralName {
  return new x509.GeneralName(isIP(name) === 0 ? 'dns' : 'ip', name);
}

function distinguishedName(commonName: string): x509.Name {
  return new x509.Name([{ CN: [commonName.slice(0, 64)] }]);
}

function lifetime(): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + LIFE_MS) };
}

/** Positive, and random enough never to come twice (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  return `4${randomBytes(15).toString('hex').slice(1)}`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

async function writeSecret(file: string, text: string): Promise<void> {
  await replaceFile(file, `${file}.new`, text, 0o600);
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
