import { createPrivateKey, X509Certificate } from 'node:crypto';
import { expect, it } from 'vitest';
import type { ClusterContext } from '../../../src/runtime/driver.js';
import {
  authorityLife,
  installProblem,
  laterFields,
  layAuthorities,
} from '../../../src/runtime/kubeadm/authorities.js';
import { initConfig } from '../../../src/runtime/kubeadm/config.js';
import { stubHost } from '../../support/stub-host.js';

const HOUR_MS = 3_600_000;
const documents = (said: object) => [{ kind: 'ClusterConfiguration', ...said }];
const wanting = (period: unknown) => documents({ caCertificateValidityPeriod: period });
const problem = (period: unknown) =>
  installProblem({ configDocuments: wanting(period) } as unknown as ClusterContext)?.problem;

it('are made for kubeadm where it cannot make them so itself', () => {
  expect(authorityLife('v1.20.2', wanting('876000h0m0s'))).toBe(876_000 * HOUR_MS);
  expect(authorityLife('v1.30.9', wanting('876000h'))).toBe(876_000 * HOUR_MS);
  expect(authorityLife('v1.31.0', wanting('876000h'))).toBeUndefined();
  expect(authorityLife('v1.20.2', [])).toBeUndefined();
});

it.each([['a hundred years'], ['0s'], ['-1h'], [''], [876_000], ['2562048h'], [['1h']]])(
  'cannot live for %j',
  (period) => {
    expect(problem(period)).toMatch(/caCertificateValidityPeriod is .*, which is no duration of up to 292 years/);
  },
);

it('can live for what Go can say, and need not be spoken of', () => {
  for (const period of ['2562047h', '1h30m', undefined, null]) expect(problem(period)).toBeUndefined();
});

it('says what is passed over, once', () => {
  const both = documents({ certificateValidityPeriod: '87600h', caCertificateValidityPeriod: '876000h' });
  expect(laterFields('v1.30.0', both)).toHaveLength(1);
  expect(laterFields('v1.31.0', both)).toEqual([]);
  expect(laterFields('v1.20.2', [])).toEqual([]);
  const given = (version: string) =>
    initConfig({ version, masters: [], hasWorkers: true, certSANs: [], documents: both }, '10.0.0.2').file;
  expect(given('v1.30.0')).not.toContain('ValidityPeriod');
  expect(given('v1.31.0')).toContain('\ncaCertificateValidityPeriod: 876000h\n');
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
