import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key (PKCS#8), PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;
const YEAR_MS = 365.25 * 24 * 60 * 60 * 1000;
/** Places without internet are visited seldom; nobody but the hosts of this cluster trusts this CA. */
const LIFE_MS = 100 * YEAR_MS;
/** Certificates begin in the past: clocks of hosts may differ. */
const BACKDATE_MS = 24 * 60 * 60 * 1000;

/** A new CA that signs servers and no other CA (RFC 5280, 4.2.1.9). */
export async function makeAuthority(commonName: string): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: distinguishedName(commonName),
    ...lifetime(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pairOf(certificate, keys);
}

/**
 * A new CA as kubeadm makes its own (RSA of 2048 bits; `NewSelfSignedCACert` of client-go/util/cert), but of another life.
 * @param lifeMs how long it is good from now on, in milliseconds
 */
export async function makeKubernetesAuthority(commonName: string, lifeMs: number): Promise<KeyPair> {
  const keys = await webcrypto.subtle.generateKey(RSA, true, ['sign', 'verify']);
  const { digitalSignature, keyEncipherment, keyCertSign } = x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: distinguishedName(commonName),
    ...lifetime(lifeMs),
    keys,
    signingAlgorithm: RSA,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(digitalSignature | keyEncipherment | keyCertSign, true),
      new x509.SubjectAlternativeNameExtension([generalName(commonName)]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pairOf(certificate, keys);
}

/**
 * A new certificate of a server that is called `names` (host names and IP addresses), signed by a CA.
 * @throws Error when the CA's certificate or key cannot be read.
 */
export async function makeServerCertificate(authority: KeyPair, names: readonly string[]): Promise<KeyPair> {
  const ca = new x509.X509Certificate(authority.certificate);
  const caKey = x509.PemConverter.decodeFirst(authority.key);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: distinguishedName(names[0] ?? 'registry'),
    issuer: ca.subjectName,
    ...lifetime(),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', caKey, ALGORITHM, false, ['sign']),
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
  return pairOf(certificate, keys);
}

function generalName(name: string): x509.GeneralName {
  return new x509.GeneralName(isIP(name) === 0 ? 'dns' : 'ip', name);
}

function distinguishedName(commonName: string): x509.Name {
  return new x509.Name([{ CN: [commonName.slice(0, 64)] }]);
}

function lifetime(lifeMs = LIFE_MS): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + lifeMs) };
}

/** Positive, and random enough never to come twice (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  return `4${randomBytes(15).toString('hex').slice(1)}`;
}

async function pairOf(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyPair> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: `${certificate.toString('pem').trim()}\n`,
    key: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`,
  };
}
