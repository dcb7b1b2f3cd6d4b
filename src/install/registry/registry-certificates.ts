import { X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { errnoOf, fileSystemError } from '../../base/errors.js';
import type { KeyPair } from '../../base/make-certificates.js';
import { makeDirectory } from '../../base/make-directory.js';
import { replaceFile } from '../../store/durable.js';

/** The keys and certificates of a cluster's registry, PEM. */
export interface RegistryCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** One that ends within a year is made anew. */
const RENEW_MS = 365 * 24 * 60 * 60 * 1000;

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
    const kept = await readPair(dir, 'registry');
    const ca = await readText(join(dir, 'ca.crt'));
    // The key of the CA may be lost with the machine that had it: what it has signed is good all the same.
    if (kept !== undefined && ca !== undefined) {
      const known = new X509Certificate(ca);
      if (isGood(kept.certificate, names, known)) return { ca: known.toString(), ...kept };
    }
    // Heavy, and seldom needed.
    const { makeAuthority, makeServerCertificate } = await import('../../base/make-certificates.js');
    let authority = await readPair(dir, 'ca');
    if (authority === undefined) {
      authority = await makeAuthority(`slipway registry CA of ${clusterName}`);
      await writePair(dir, 'ca', authority);
    }
    const made = await makeServerCertificate(authority, names);
    await writePair(dir, 'registry', made);
    return { ca: authority.certificate, ...made };
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

/** Whether a certificate is from this CA, has all the names, and lives long enough. */
function isGood(pem: string, names: readonly string[], ca: X509Certificate): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const has = (name: string): boolean =>
      isIP(name) === 0
        ? certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined
        : certificate.checkIP(name) !== undefined;
    if (!names.every(has)) return false;
    if (new Date(certificate.validTo).getTime() - Date.now() < RENEW_MS) return false;
    return certificate.verify(ca.publicKey);
  } catch {
    return false;
  }
}

async function readPair(dir: string, name: string): Promise<KeyPair | undefined> {
  const [certificate, key] = await Promise.all([
    readText(join(dir, `${name}.crt`)),
    readText(join(dir, `${name}.key`)),
  ]);
  return certificate === undefined || key === undefined ? undefined : { certificate, key };
}

async function writePair(dir: string, name: string, { certificate, key }: KeyPair): Promise<void> {
  await writeSecret(join(dir, `${name}.key`), key);
  // The certificate last: with it the pair counts as complete.
  await writeSecret(join(dir, `${name}.crt`), certificate);
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
