import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './programs.js';

export interface Certificates {
  /** PEM file of the CA. */
  readonly ca: string;
  /** PEM files of a certificate for 127.0.0.1, localhost and registry.example. */
  readonly cert: string;
  readonly key: string;
}

/** Makes a CA of its own and a server certificate for this machine's loopback addresses, in `dir`. */
export async function makeCertificates(dir: string): Promise<Certificates> {
  const file = (name: string): string => join(dir, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await must('openssl', [
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    '-subj',
    '/CN=test CA',
    '-keyout',
    file('ca.key'),
    '-out',
    file('ca.pem'),
  ]);
  await must('openssl', [
    'req',
    ...key,
    '-subj',
    '/CN=localhost',
    '-keyout',
    file('server.key'),
    '-out',
    file('server.csr'),
  ]);
  await writeFile(file('server.ext'), 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.example\n');
  const signed = [
    '-CA',
    file('ca.pem'),
    '-CAkey',
    file('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    file('server.ext'),
  ];
  await must('openssl', ['x509', '-req', '-in', file('server.csr'), ...signed, '-out', file('server.pem')]);
  return { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') };
}
