import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { redact } from '../../../src/base/redact.js';
import {
  bootstrapKubeconfig,
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

it('lets a kubelet ask for a certificate with a token, and trust only its cluster', () => {
  expect(parse(bootstrapKubeconfig('https://api:6443', Buffer.from('CA'), 'abcdef.0123456789abcdef'))).toMatchObject({
    clusters: [{ cluster: { server: 'https://api:6443', 'certificate-authority-data': 'Q0E=' } }],
    users: [{ user: { token: 'abcdef.0123456789abcdef' } }],
    'current-context': 'bootstrap',
  });
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
