import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { redact } from '../../../src/base/redact.js';
import {
  caCertHash,
  newBootstrapToken,
  newCertificateKey,
  tokenManifest,
} from '../../../src/runtime/kubeadm/tokens.js';
import { withServer } from '../../../src/runtime/kubernetes/kubeconfig.js';

it('makes tokens as kubeadm wants them, which no log shows', () => {
  const token = newBootstrapToken();
  expect(token).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  expect(newBootstrapToken()).not.toBe(token);
  expect(redact(`join with ${token}`)).not.toContain(token.slice(7));
  const key = newCertificateKey();
  expect(key).toMatch(/^[a-f0-9]{64}$/);
  expect(redact(key)).toBe('***');
});

it('writes the token as the API server reads it', () => {
  const manifest = JSON.parse(tokenManifest('abcdef.0123456789abcdef', Date.UTC(2026, 0, 1)));
  expect(manifest.metadata).toEqual({ name: 'bootstrap-token-abcdef', namespace: 'kube-system' });
  expect(manifest.stringData.expiration).toBe('2026-01-01T02:00:00Z');
});

it('pins the CA as kubeadm does: sha256 of the public key', () => {
  const dir = mkdtempSync(join(tmpdir(), 'slipway-token-'));
  try {
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] });
    openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'k', '-out', 'c', '-subj', '/CN=kubernetes');
    openssl('x509', '-in', 'c', '-noout', '-pubkey', '-out', 'p');
    openssl('pkey', '-pubin', '-in', 'p', '-outform', 'DER', '-out', 'd');
    const expected = openssl('dgst', '-sha256', '-r', 'd').toString().split(' ')[0];
    expect(caCertHash(readFileSync(join(dir, 'c')))).toBe(`sha256:${expected}`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

it('points a kubeconfig at an address, and changes nothing else', () => {
  const text = `apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: QUJD
    server: https://apiserver.cluster.local:6443
  name: kubernetes
kind: Config
`;
  expect(withServer(text, '10.99.0.2', 'admin.conf')).toContain('server: https://10.99.0.2:6443');
  expect(withServer(text, 'fd00::2', 'admin.conf')).toContain('server: https://[fd00::2]:6443');
  expect(withServer(text, '10.99.0.2', 'admin.conf')).toContain('certificate-authority-data: QUJD');
  expect(() => withServer('kind: Config', '10.99.0.2', 'admin.conf of m1')).toThrow(
    /admin\.conf of m1 is not a kubeconfig/,
  );
});
