import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import { authorityLife, layAuthorities } from '../../../src/runtime/kubeadm/authorities.js';
import { stubHost } from '../../support/stub-host.js';

const HOUR_MS = 3_600_000;
const documents = (said: object) => [{ kind: 'ClusterConfiguration', ...said }];
const wanting = (period: unknown) => documents({ caCertificateValidityPeriod: period });

it('are made for kubeadm where it cannot make them so itself', () => {
  expect(authorityLife('v1.20.2', wanting('876000h0m0s'))).toBe(876_000 * HOUR_MS);
  expect(authorityLife('v1.30.9', wanting('876000h'))).toBe(876_000 * HOUR_MS);
  expect(authorityLife('v1.31.0', wanting('876000h'))).toBeUndefined();
  expect(authorityLife('v1.20.2', [])).toBeUndefined();
});

it('are what kubeadm makes, but for their life', async () => {
  const host = stubHost('10.0.0.2', () => undefined);
  await layAuthorities(host, 876_000 * HOUR_MS, []);
  const pki = '/etc/kubernetes/pki';
  expect([...host.files.keys()].sort()).toEqual(
    ['ca', 'etcd/ca', 'front-proxy-ca'].flatMap((name) => [`${pki}/${name}.crt`, `${pki}/${name}.key`]),
  );
  for (const [file, name] of [
    ['ca', 'kubernetes'],
    ['etcd/ca', 'etcd-ca'],
    ['front-proxy-ca', 'front-proxy-ca'],
  ]) {
    const ca = new X509Certificate(host.files.get(`${pki}/${file}.crt`) ?? '');
    expect(ca.subject).toBe(`CN=${name}`);
    expect(ca.ca && ca.verify(ca.publicKey)).toBe(true);
    expect(ca.checkPrivateKey(createPrivateKey(host.files.get(`${pki}/${file}.key`) ?? ''))).toBe(true);
    expect(ca.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    const left = Date.parse(ca.validTo) - Date.now() - 876_000 * HOUR_MS;
    expect(Math.abs(left)).toBeLessThan(60_000);
  }
});

it('of an etcd of somebody else are not ours', async () => {
  const host = stubHost('10.0.0.2', () => undefined);
  await layAuthorities(host, HOUR_MS, documents({ etcd: { external: { endpoints: [] } } }));
  expect([...host.files.keys()].filter((file) => file.includes('etcd'))).toEqual([]);
});
