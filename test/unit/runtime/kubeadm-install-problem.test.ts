import { describe, expect, it } from 'vitest';
import type { ClusterContext } from '../../../src/runtime/driver.js';
import { installProblem, lifeWarnings } from '../../../src/runtime/kubeadm/install-problem.js';

const problem = (documents: readonly object[], version = 'v1.20.2') =>
  installProblem({ version, configDocuments: documents } as unknown as ClusterContext)?.problem;
const cluster = (said: object) => problem([{ kind: 'ClusterConfiguration', ...said }]);

describe('the life of CAs', () => {
  it.each([['a hundred years'], ['0s'], ['-1h'], [''], [876_000], ['2562048h'], [['1h']]])(
    'cannot be %j',
    (caCertificateValidityPeriod) => {
      expect(cluster({ caCertificateValidityPeriod })).toMatch(
        /caCertificateValidityPeriod is .*, which is no duration of up to 292 years/,
      );
    },
  );

  it.each([['2562047h'], ['876000h0m0s'], ['1h30m'], [null], [undefined]])(
    'can be %j',
    (caCertificateValidityPeriod) => {
      expect(cluster({ caCertificateValidityPeriod })).toBeUndefined();
    },
  );
});

it('certificates and API servers are where they are', () => {
  expect(cluster({ certificatesDir: '/srv/pki' })).toContain(
    'certificates are in /etc/kubernetes/pki and nowhere else',
  );
  expect(cluster({ certificatesDir: '/etc/kubernetes/pki' })).toBeUndefined();
  const port = (bindPort: unknown) => problem([{ kind: 'InitConfiguration', localAPIEndpoint: { bindPort } }]);
  expect(port(8443)).toContain('API servers listen at 6443 and nowhere else');
  expect(port(6443)).toBeUndefined();
});

it('a kubeadm that joins no node by a file is too old', () => {
  expect(problem([], 'v1.15.2')).toBe('nodes cannot join with kubeadm v1.15.2');
  expect(problem([], 'v1.15.3')).toBeUndefined();
});

it('CAs that end before what they sign are told', () => {
  const warnings = (caCertificateValidityPeriod: string) =>
    lifeWarnings([{ kind: 'ClusterConfiguration', caCertificateValidityPeriod }]);
  expect(warnings('87600m')).toEqual([expect.stringContaining('"87600m", less than a year')]);
  expect(warnings('8760h')).toEqual([]);
  expect(lifeWarnings([])).toEqual([]);
});
