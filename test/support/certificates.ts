import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A certificate, PEM, good until `notAfter`. */
export async function makeCertificate(notAfter: Date, names: readonly string[] = []): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    notBefore: new Date(0),
    notAfter,
    keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']),
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension(names.map((name) => new x509.GeneralName('dns', name)))],
  });
  return made.toString('pem').trim();
}

/** A line as the scripts print it that list certificates on a host. */
export function certificateLine(file: string, pem: string): string {
  return `${file} ${pem.replaceAll('\n', '|')}\n`;
}
