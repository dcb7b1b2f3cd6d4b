import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { certificateFindings } from '../../../../src/install/check/certificates.js';

const DAY = 24 * 60 * 60 * 1000;
const END = Date.UTC(2027, 5, 1, 12);
let pem: string;
beforeAll(async () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=test',
    notBefore: new Date(END - 365 * DAY),
    notAfter: new Date(END),
    keys,
    signingAlgorithm: algorithm,
  });
  pem = made.toString('pem');
});

const at = (now: number, file = '/etc/kubernetes/pki/apiserver.crt', text = pem): string[] =>
  certificateFindings('h', [{ file, pem: text }], now).map(({ severity, what, why }) => `${severity}: ${what}: ${why}`);

describe('a certificate', () => {
  it('is good for more than 30 days, ends soon, or has ended', () => {
    expect(at(END - 30 * DAY - 1)).toEqual([]);
    expect(at(END - 30 * DAY)).toEqual([
      'warning: the certificate /etc/kubernetes/pki/apiserver.crt ends soon: it is good until 2027-06-01 12:00 UTC, 30 days from now',
    ]);
    expect(at(END - DAY - 1)[0]).toContain('1 day from now');
    expect(at(END)).toEqual([
      'problem: the certificate /etc/kubernetes/pki/apiserver.crt has ended: it was good until 2027-06-01 12:00 UTC',
    ]);
  });

  it('counts with the others of its file, and must be one', () => {
    expect(at(END, 'f', `some text\n${pem}\n${pem}`)).toHaveLength(1);
    const bad = ['problem: the certificate f cannot be read: it is damaged'];
    expect(at(0, 'f', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')).toEqual(bad);
    expect(at(0, 'f', 'nothing')).toEqual(bad);
  });

  it('is renewed in different ways', () => {
    const fix = (file: string): string | undefined => certificateFindings('h', [{ file, pem }], END)[0]?.fix;
    expect(fix('/etc/kubernetes/pki/etcd/server.crt')).toBe('slipway cert --renew');
    expect(fix('/etc/kubernetes/pki/front-proxy-ca.crt')).toContain('a CA is replaced by hand');
    expect(fix('/var/lib/kubelet/pki/kubelet-client-current.pem')).toContain('journalctl -u kubelet');
  });
});
