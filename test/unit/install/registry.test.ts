import { execFileSync } from 'node:child_process';
import { copyFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { upstreamHosts } from '../../../src/install/files/install-image.js';
import { htpasswdLine } from '../../../src/install/registry/cluster-registry.js';
import { basicAuthorization, registryAccess } from '../../../src/install/registry/registry-access.js';
import { registryCertificates } from '../../../src/install/registry/registry-certificates.js';
import { mirrorFiles } from '../../../src/install/registry/registry-mirrors.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slipway-pki-'));
});
afterEach(() => rm(dir, { recursive: true }));

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, encoding: 'utf8' });

describe('the registry’s certificates', () => {
  it('are what openssl takes for a server of these names', async () => {
    await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.2', 'fd00::2']);
    for (const check of [
      ['-verify_hostname', 'sea.hub'],
      ['-verify_ip', '10.0.0.2'],
      ['-verify_ip', 'fd00::2'],
    ]) {
      const args = ['verify', '-x509_strict', '-purpose', 'sslserver', ...check, '-CAfile', 'ca.crt', 'registry.crt'];
      expect(openssl(...args)).toContain('registry.crt: OK');
    }
    const otherName = ['verify', '-verify_hostname', 'evil.hub', '-CAfile', 'ca.crt', 'registry.crt'];
    expect(() => execFileSync('openssl', otherName, { cwd: dir, stdio: 'pipe' })).toThrow(/hostname mismatch/i);
    const publicKey = openssl('x509', '-in', 'registry.crt', '-noout', '-pubkey');
    expect(openssl('pkey', '-in', 'registry.key', '-pubout')).toBe(publicKey);
  });

  it('stay the same, until they lack a name; the CA stays always', async () => {
    const first = await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.2']);
    expect(await registryCertificates(dir, 'prod', ['10.0.0.2'])).toEqual(first);
    const more = await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.3']);
    expect(more.ca.trim()).toBe(first.ca.trim());
    expect(more.certificate).not.toBe(first.certificate);
    expect(openssl('verify', '-verify_ip', '10.0.0.3', '-CAfile', 'ca.crt', 'registry.crt')).toContain('OK');
  });

  it('stay the same without the key of the CA, as long as they are good', async () => {
    const first = await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.2']);
    await rm(join(dir, 'ca.key'));
    expect(await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.2'])).toEqual(first);
    const more = await registryCertificates(dir, 'prod', ['sea.hub', '10.0.0.3']);
    expect(more.ca).not.toBe(first.ca);
    expect(openssl('verify', '-verify_ip', '10.0.0.3', '-CAfile', 'ca.crt', 'registry.crt')).toContain('OK');
  });

  it('are only their owner’s to read', async () => {
    await registryCertificates(dir, 'prod', ['sea.hub']);
    for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o77, name).toBe(0);
  });

  it('are made anew when somebody else’s are in their place', async () => {
    await registryCertificates(dir, 'prod', ['sea.hub']);
    await rm(join(dir, 'ca.crt'));
    await registryCertificates(dir, 'prod', ['sea.hub']);
    expect(openssl('verify', '-CAfile', 'ca.crt', 'registry.crt')).toContain('OK');
    // with the same names, signed by another authority than the one that is there now
    const other = join(dir, 'other');
    await registryCertificates(other, 'prod', ['sea.hub']);
    for (const file of ['ca.crt', 'ca.key']) await copyFile(join(other, file), join(dir, file));
    await registryCertificates(dir, 'prod', ['sea.hub']);
    expect(openssl('verify', '-CAfile', 'ca.crt', 'registry.crt')).toContain('OK');
  });
});

describe('mirrors', () => {
  const registry = registryAccess({ domain: 'sea.hub', port: 5000 }, ['10.0.0.2'], {
    ca: 'CA',
    certificate: '',
    key: '',
  });

  it('let containerd find the images of every upstream registry here', () => {
    const files = mirrorFiles(registry, ['docker.io', 'k8s.gcr.io']);
    expect(files.map(({ path }) => path)).toEqual([
      '/etc/containerd/certs.d/sea.hub:5000/ca.crt',
      '/etc/containerd/certs.d/sea.hub:5000/hosts.toml',
      '/etc/containerd/certs.d/docker.io/hosts.toml',
      '/etc/containerd/certs.d/k8s.gcr.io/hosts.toml',
    ]);
    expect(files[2]?.content).toBe(`# written by slipway
server = "https://registry-1.docker.io"

[host."https://sea.hub:5000"]
  capabilities = ["pull", "resolve"]
  ca = "/etc/containerd/certs.d/sea.hub:5000/ca.crt"
`);
    expect(files[3]?.content).toContain('server = "https://k8s.gcr.io"');
  });

  it('carry the password where there is one, for root alone', () => {
    const [, own] = mirrorFiles({ ...registry, authorization: basicAuthorization('admin', 'pässword') }, []);
    const basic = Buffer.from('admin:pässword').toString('base64');
    expect(own?.content).toContain(`Authorization = ["Basic ${basic}"]`);
    expect(own?.mode).toBe(0o600);
  });

  it('are for the registries that the image list names', () => {
    expect(
      upstreamHosts([
        'k8s.gcr.io/pause:3.2',
        'nginx',
        'docker.io/library/nginx:1',
        '',
        'localhost:5000/x',
        'Not A Name',
      ]),
    ).toEqual(['docker.io', 'k8s.gcr.io', 'localhost:5000']);
  });
});

it('hashes passwords as htpasswd verifies them', async () => {
  const line = await htpasswdLine('admin', 'secret pass');
  execFileSync('sh', ['-c', 'cat > file && htpasswd -vb file admin "secret pass"'], {
    cwd: dir,
    input: line,
    stdio: 'pipe',
  });
  expect(() => execFileSync('htpasswd', ['-vb', 'file', 'admin', 'wrong'], { cwd: dir, stdio: 'pipe' })).toThrow();
});
