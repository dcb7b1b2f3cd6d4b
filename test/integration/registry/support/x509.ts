import { webcrypto } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR = 3_600_000;

/** A certificate and its key as PEM files. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssueOptions {
  /** IP addresses and DNS names; default 127.0.0.1 and localhost. */
  readonly names?: readonly string[];
  /** Hours from now. */
  readonly valid?: readonly [from: number, to: number];
}

export interface Authority {
  /** PEM file. */
  readonly cert: string;
  /** Signs a certificate into `DIR/NAME.pem` and `DIR/NAME.key`. */
  issue(name: string, options?: IssueOptions): Promise<Issued>;
}

/** A certificate authority of one's own, which signs certificates that openssl's command line makes only by detours. */
export async function makeAuthority(dir: string): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const ca = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: 'CN=test authority',
      notBefore: new Date(Date.now() - 24 * HOUR),
      notAfter: new Date(Date.now() + 48 * HOUR),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    },
    webcrypto,
  );
  const cert = join(dir, 'authority.pem');
  await writeFile(cert, ca.toString('pem'));
  let serial = 1;
  return {
    cert,
    async issue(name, { names = ['127.0.0.1', 'localhost'], valid: [from, to] = [-1, 24] } = {}) {
      const own = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const issued = await x509.X509CertificateGenerator.create(
        {
          serialNumber: `0${++serial}`,
          subject: `CN=${name}`,
          issuer: ca.subject,
          notBefore: new Date(Date.now() + from * HOUR),
          notAfter: new Date(Date.now() + to * HOUR),
          signingAlgorithm: ALGORITHM,
          publicKey: own.publicKey,
          signingKey: keys.privateKey,
          extensions: [
            new x509.SubjectAlternativeNameExtension(
              names.map((value) => ({ type: /^[\d.]+$/.test(value) ? 'ip' : 'dns', value })),
            ),
          ],
        },
        webcrypto,
      );
      const files = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
      await writeFile(files.cert, issued.toString('pem'));
      const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', own.privateKey);
      await writeFile(files.key, x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'));
      return files;
    },
  };
}
