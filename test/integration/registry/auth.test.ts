import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { catalog, Repository } from '../../../src/registry/client.js';
import { login, logout } from '../../../src/registry/login.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { makeCertificates } from './support/certificates.js';
import { type DockerRegistryOptions, startDockerRegistry } from './support/docker-registry.js';
import { writeHome } from './support/home.js';
import { tagSmallImage } from './support/images.js';
import { must } from './support/programs.js';
import { RecordingReporter } from './support/reporter.js';
import { testDir, testStore } from './support/server.js';
import { startTokenServer, type TokenServerOptions } from './support/token-server.js';
import { tunnelTo } from './support/tunnel.js';

const ANNA = { username: 'anna', password: 'the-password-of-anna' };

async function registryWith(options: DockerRegistryOptions) {
  const registry = await startDockerRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

async function tokenRegistry(options: TokenServerOptions) {
  const server = await startTokenServer(await testDir(), options);
  onTestFinished(() => server.close());
  return { server, registry: await registryWith({ token: server }) };
}

describe('passwords (Basic)', () => {
  test('login proves them, keeps them for the owner alone, and push and pull find them; logout forgets them', async () => {
    const { address } = await registryWith({ users: { [ANNA.username]: ANNA.password } });
    const env = await writeHome();
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const to = `${address}/x:1`;
    await expect(pushImage(store, 'x:1', { to, env })).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: `log in first: slipway login ${address}`,
    });
    await expect(login(address, { ...ANNA, password: 'a-wrong-password' }, { env })).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
    });
    const file = join(env.HOME, '.docker/config.json');
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });

    expect(await login(address, ANNA, { env })).toBe(file);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await pushImage(store, 'x:1', { to, env });
    await must('skopeo', ['inspect', '--tls-verify=false', '--authfile', file, `docker://${to}`]);
    expect(await catalog(address, { env })).toEqual(['x']);

    expect(await logout(address, { env })).toBe(true);
    expect(await logout(address, { env })).toBe(false);
    await expect(pullImage(await testStore(), to, { env })).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
  });

  test('what skopeo keeps in its own file is found; other entries and fields survive our login', async () => {
    const { address } = await registryWith({ users: { [ANNA.username]: ANNA.password } });
    const env = { ...(await writeHome()), REGISTRY_AUTH_FILE: join(await testDir(), 'auth.json') };
    await must('skopeo', ['login', '--tls-verify=false', '-u', ANNA.username, '--password-stdin', address], {
      env,
      input: ANNA.password,
    });
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    await pushImage(store, 'x:1', { to: `${address}/x:1`, env });

    const before = JSON.parse(await readFile(env.REGISTRY_AUTH_FILE, 'utf8'));
    await writeFile(
      env.REGISTRY_AUTH_FILE,
      JSON.stringify({
        ...before,
        auths: { ...before.auths, 'other.example': { auth: 'eDp5' } },
        detachKeys: 'ctrl-q',
      }),
    );
    await login(address, ANNA, { env });
    const after = JSON.parse(await readFile(env.REGISTRY_AUTH_FILE, 'utf8'));
    expect(after.detachKeys).toBe('ctrl-q');
    expect(Object.keys(after.auths).sort()).toEqual([address, 'other.example'].sort());
  });

  test('a wrong password is refused once, not again and again, and is never shown', async () => {
    const registry = await registryWith({ users: { [ANNA.username]: ANNA.password } });
    const credential = { username: 'anna', password: 'not-the-right-one' };
    const failure = await new Repository(registry.address, 'x', { credential, env: await writeHome() })
      .resolve('1')
      .catch((error) => error);
    expect(failure).toMatchObject({ code: 'E_UNAUTHORIZED' });
    expect(`${failure.message} ${failure.hint} ${JSON.stringify(failure.details)}`).not.toContain('not-the-right-one');
    expect(registry.log().match(/HEAD \/v2\/x\/manifests\/1/g)?.length).toBeLessThan(5);
  });

  test('a credential helper is asked, and keeps what login gives it', async () => {
    const { address } = await registryWith({ users: { [ANNA.username]: ANNA.password } });
    const dir = await testDir();
    const helper = join(dir, 'docker-credential-drawer');
    await writeFile(
      helper,
      `#!/bin/sh
case $1 in
store) cat > ${dir}/drawer;;
get) if [ -f ${dir}/drawer ]; then cat ${dir}/drawer; else echo "credentials not found in native keychain"; exit 1; fi;;
erase) rm ${dir}/drawer;;
esac
`,
    );
    await chmod(helper, 0o755);
    const env = { HOME: dir, PATH: `${dir}:${process.env.PATH}` };
    await mkdir(join(dir, '.docker'));
    await writeFile(join(dir, '.docker/config.json'), JSON.stringify({ credHelpers: { [address]: 'drawer' } }));
    expect(await login(address, ANNA, { env })).toBe('docker-credential-drawer');
    expect(await readFile(join(dir, '.docker/config.json'), 'utf8')).not.toContain('auth"');
    expect(await catalog(address, { env })).toEqual([]);
    expect(await logout(address, { env })).toBe(true);
    await expect(catalog(address, { env })).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });

    await writeFile(join(dir, '.docker/config.json'), JSON.stringify({ credHelpers: { [address]: 'absent' } }));
    const reporter = new RecordingReporter();
    await expect(catalog(address, { env, reporter })).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
    expect(reporter.warnings.join()).toContain('docker-credential-absent is not on PATH');
  });
});

describe('tokens (Bearer)', () => {
  test.each(['token', 'access_token'] as const)('push and pull with the answer`s field %s', async (field) => {
    const { server, registry } = await tokenRegistry({
      users: { [ANNA.username]: ANNA.password },
      open: ['team/open'],
      field,
    });
    const store = await testStore();
    const env = await writeHome();
    const { digest } = await tagSmallImage(store, 'x:1', { layers: [{ a: randomBytes(100_000) }, { b: 'b' }] });
    await pushImage(store, 'x:1', { to: `${registry.address}/team/open:1`, credential: ANNA, env });
    expect(server.requests.map(({ scopes }) => scopes)).toEqual([['repository:team/open:pull,push']]);

    // everybody may pull this one, nobody else may push
    expect((await pullImage(await testStore(), `${registry.address}/team/open:1`, { env })).descriptor.digest).toBe(
      digest,
    );
    await expect(pushImage(store, 'x:1', { to: `${registry.address}/team/open:2`, env })).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: expect.stringContaining(`slipway login ${registry.address}`),
    });
    // the blobs of one repository are mounted into another: the token is for both
    const second = await pushImage(store, 'x:1', { to: `${registry.address}/team/closed:1`, credential: ANNA, env });
    expect(second.copied).toBe(0);
    expect(server.requests.at(-1)?.scopes).toEqual(['repository:team/closed:pull,push', 'repository:team/open:pull']);
    await expect(pullImage(await testStore(), `${registry.address}/team/closed:1`, { env })).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
    });
  });

  test('login asks the token server; a wrong password is not kept', async () => {
    const { registry } = await tokenRegistry({ users: { [ANNA.username]: ANNA.password } });
    const env = await writeHome();
    await expect(login(registry.address, { ...ANNA, password: 'a-wrong-one' }, { env })).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
    });
    await login(registry.address, ANNA, { env });
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    await pushImage(store, 'x:1', { to: `${registry.address}/x:1`, env });
    expect(await catalog(registry.address, { env })).toEqual(['x']);
  });

  test('an identity token is exchanged by POST', async () => {
    const { server, registry } = await tokenRegistry({ refreshToken: 'a-refresh-token', field: 'access_token' });
    const env = await writeHome({ auths: { [registry.address]: { identitytoken: 'a-refresh-token' } } });
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    await pushImage(store, 'x:1', { to: `${registry.address}/x:1`, env });
    expect(server.requests).toMatchObject([{ method: 'POST', user: 'token-user', granted: true }]);
  });
});

describe('TLS', () => {
  test('a CA of one`s own: from --cert-dir, or not trusted; --insecure-skip-verify warns', async () => {
    const dir = await testDir();
    const certificates = await makeCertificates(dir);
    const { address } = await registryWith({ tls: certificates });
    const store = await testStore();
    const env = await writeHome();
    await tagSmallImage(store, 'x:1');
    const to = `${address}/x:1`;
    await expect(pushImage(store, 'x:1', { to, env })).rejects.toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('--cert-dir'),
    });
    const certDir = join(dir, 'certs');
    await mkdir(certDir);
    await copyFile(certificates.ca, join(certDir, 'ca.crt'));
    await pushImage(store, 'x:1', { to, env, certDir });
    const reporter = new RecordingReporter();
    await pullImage(await testStore(), to, { env, insecureSkipVerify: [address], reporter });
    expect(reporter.warnings).toEqual([`the certificate of ${address} is not verified (--insecure-skip-verify)`]);
    await expect(pullImage(await testStore(), to, { env, certDir, plainHttp: true })).rejects.toMatchObject({
      code: 'E_REGISTRY',
    });
  });
});

describe('a proxy', () => {
  test('of the environment is used for hosts elsewhere, with the same trust, and not for loopback', async () => {
    const certificates = await makeCertificates(await testDir());
    const { address } = await registryWith({ tls: certificates });
    const connected: string[] = [];
    const proxy = await tunnelTo(address, connected);
    const env = {
      ...(await writeHome()),
      https_proxy: proxy,
      NODE_EXTRA_CA_CERTS: certificates.ca,
    };
    const store = await testStore();
    const { digest } = await tagSmallImage(store, 'x:1');
    await pushImage(store, 'x:1', { to: `${address}/x:1`, env });
    expect(connected).toEqual([]);
    expect((await pullImage(await testStore(), 'registry.example/x:1', { env })).descriptor.digest).toBe(digest);
    expect(new Set(connected)).toEqual(new Set(['registry.example:443']));
    const untrusted = { ...env, NODE_EXTRA_CA_CERTS: '' };
    await expect(pullImage(await testStore(), 'registry.example/x:1', { env: untrusted })).rejects.toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('/etc/docker/certs.d/registry.example/ca.crt'),
    });
  });
});
