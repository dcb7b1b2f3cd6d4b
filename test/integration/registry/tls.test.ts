import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Repository } from '../../../src/registry/client.js';
import type { RegistryOptions } from '../../../src/registry/options.js';
import { tlsContext } from '../../../src/registry/tls.js';
import { type DockerRegistryOptions, startDockerRegistry } from './support/docker-registry.js';
import { writeHome } from './support/home.js';
import { testDir } from './support/server.js';
import { tunnelTo } from './support/tunnel.js';
import { type IssueOptions, makeAuthority } from './support/x509.js';

/** docker's registry with a certificate of an authority of ours. */
async function registryWith(certificate: IssueOptions = {}, clients?: 'certified') {
  const dir = await testDir();
  const authority = await makeAuthority(dir);
  const issued = await authority.issue('server', certificate);
  const tls: DockerRegistryOptions['tls'] = {
    ...issued,
    ...(clients === undefined ? {} : { clientCa: authority.cert }),
  };
  const registry = await startDockerRegistry({ tls });
  onTestFinished(() => registry.close());
  return { authority, address: registry.address };
}

/** A directory for --cert-dir with these files. */
async function certDir(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = await testDir();
  for (const [name, source] of Object.entries(files)) await copyFile(source, join(dir, name));
  return dir;
}

/** Asks for an image that is not there: E_NOT_FOUND says that the registry was reached. */
async function ask(
  address: string,
  options: RegistryOptions,
): Promise<{ code: string; message: string; hint: string }> {
  const repository = new Repository(address, 'x', { env: await writeHome(), retryDelay: 5, ...options });
  return repository.resolve('1').then(
    () => expect.unreachable(),
    (error) => error,
  );
}

describe('certificates that are not good: the message says what is wrong, the hint what to do', () => {
  test('an authority that nobody knows', async () => {
    const { address } = await registryWith();
    expect(await ask(address, {})).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      message: expect.stringContaining('no trusted TLS connection (unable to verify the first certificate)'),
      hint: `put the registry's CA into /etc/docker/certs.d/${address}/ca.crt, or name its directory with --cert-dir; --insecure-skip-verify trusts anybody`,
    });
  });

  test.each([
    ['expired', [-48, -1], 'certificate has expired'],
    ['to come', [1, 48], 'certificate is not yet valid'],
  ] as const)('%s', async (_, valid, message) => {
    const { address, authority } = await registryWith({ valid });
    expect(await ask(address, { certDir: await certDir({ 'ca.crt': authority.cert }) })).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      message: expect.stringContaining(message),
      hint: expect.stringContaining('clock of this machine'),
    });
  });

  test('for another name', async () => {
    const { address, authority } = await registryWith({ names: ['registry.example'] });
    expect(await ask(address, { certDir: await certDir({ 'ca.crt': authority.cert }) })).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      message: expect.stringContaining('127.0.0.1'),
      hint: expect.stringContaining(`the certificate is for other names than ${address}`),
    });
  });

  test('signed by another authority than the one that is given', async () => {
    const dir = await testDir();
    const { cert } = await makeAuthority(dir);
    const { address } = await registryWith();
    expect(await ask(address, { certDir: await certDir({ 'ca.crt': cert }) })).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
    });
  });

  test('none at all, where TLS was expected', async () => {
    const registry = await startDockerRegistry();
    onTestFinished(() => registry.close());
    // A loopback registry is asked what it speaks; one elsewhere is not. A proxy stands for elsewhere.
    const env = { ...(await writeHome()), https_proxy: await tunnelTo(registry.address) };
    expect(await ask('registry.example', { env })).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      message: expect.stringContaining('the registry does not speak TLS'),
      hint: 'if the registry has no TLS, add --plain-http',
    });
  });
});

describe('authorities of one`s own', () => {
  test.each(['docker', 'containers'])('in /etc/%s/certs.d', async (owner) => {
    const { address, authority } = await registryWith();
    const dir = `/etc/${owner}/certs.d/${address}`;
    await mkdir(dir, { recursive: true });
    onTestFinished(() => rm(dir, { recursive: true }));
    await copyFile(authority.cert, join(dir, 'ca.crt'));
    expect(await ask(address, {})).toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await ask(address.replace('127.0.0.1', 'localhost'), {})).toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
  });

  test('for a host without a port also in the directory that names port 443', async () => {
    const certsD = await testDir();
    const dir = join(certsD, 'registry.example:443');
    await mkdir(dir);
    await writeFile(join(dir, 'client.cert'), 'x'); // is looked at: it has no key
    const failing = tlsContext('registry.example', { env: {}, certsD: [certsD] });
    await expect(failing).rejects.toMatchObject({ code: 'E_USAGE', message: expect.stringContaining(dir) });
    await tlsContext('registry.example:5000', { env: {}, certsD: [certsD] });
  });

  test('--cert-dir, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS', async () => {
    const { address, authority } = await registryWith();
    const home = await writeHome();
    for (const options of [
      { certDir: await certDir({ 'ca.crt': authority.cert }) },
      { env: { ...home, SSL_CERT_FILE: authority.cert } },
      { env: { ...home, NODE_EXTRA_CA_CERTS: authority.cert } },
    ])
      expect(await ask(address, options)).toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('files that cannot be used are named', async () => {
    const { address } = await registryWith();
    const dir = await testDir();
    await writeFile(join(dir, 'client.cert'), 'x');
    expect(await ask(address, { certDir: dir })).toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('client.cert has no client.key beside it'),
    });
    await writeFile(join(dir, 'client.key'), 'x');
    expect(await ask(address, { certDir: dir })).toMatchObject({ code: 'E_USAGE', hint: expect.stringContaining(dir) });
    expect(await ask(address, { certDir: join(dir, 'absent') })).toMatchObject({
      code: 'E_USAGE',
      message: expect.stringContaining('absent'),
    });
  });
});

describe('a registry that wants a client certificate', () => {
  test('gets it from --cert-dir', async () => {
    const { address, authority } = await registryWith({}, 'certified');
    const { cert, key } = await authority.issue('anna');
    const dir = await certDir({ 'ca.crt': authority.cert, 'client.cert': cert, 'client.key': key });
    expect(await ask(address, { certDir: dir })).toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('does not get one: the hint says what it wants', async () => {
    const { address, authority } = await registryWith({}, 'certified');
    const failure = await ask(address, { certDir: await certDir({ 'ca.crt': authority.cert }) });
    expect(failure).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('client certificate'),
    });
  });

  test('does not like it', async () => {
    const { address, authority } = await registryWith({}, 'certified');
    const stranger = await (await makeAuthority(await testDir())).issue('stranger');
    const dir = await certDir({ 'ca.crt': authority.cert, 'client.cert': stranger.cert, 'client.key': stranger.key });
    expect(await ask(address, { certDir: dir })).toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('client certificate'),
    });
  });
});
