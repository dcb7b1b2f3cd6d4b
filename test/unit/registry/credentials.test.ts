import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { findCredential, removeCredential, saveCredential } from '../../../src/registry/credentials.js';
import { parseHtpasswd } from '../../../src/registry/server/access.js';

const auth = (user: string, password: string): { auth: string } => ({
  auth: Buffer.from(`${user}:${password}`).toString('base64'),
});

/** A home with these files, as the environment that points to it. */
async function home(files: Readonly<Record<string, unknown>> = {}): Promise<{ readonly HOME: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'slipway-credentials-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return { HOME: dir };
}

describe('finding', () => {
  test('by repository path, the longest first, then by host', async () => {
    const env = await home({
      '.docker/config.json': {
        auths: {
          'r.example': auth('host', 'p'),
          'r.example/team': auth('team', 'p'),
          'r.example/team/app': auth('app', 'p:with:colons'),
        },
      },
    });
    const user = async (repository?: string) => {
      const found = await findCredential('r.example', repository, { env });
      return found?.kind === 'basic' ? found.username : undefined;
    };
    expect(await user('team/app')).toBe('app');
    expect(await user('team/app/deeper')).toBe('app');
    expect(await user('team/application')).toBe('team');
    expect(await user('other')).toBe('host');
    expect(await user()).toBe('host');
    expect(await findCredential('r.example', 'team/app', { env })).toEqual({
      kind: 'basic',
      username: 'app',
      password: 'p:with:colons',
    });
  });

  test('hosts match exactly', async () => {
    const env = await home({
      '.docker/config.json': { auths: { 'r.example': auth('u', 'p'), 'r.example:5000': auth('v', 'p') } },
    });
    for (const host of ['example', 'x.r.example', 'r.example.evil', 'r.example:443']) {
      expect(await findCredential(host, 'a', { env })).toBeUndefined();
    }
    expect(await findCredential('r.example:5000', 'a', { env })).toMatchObject({ username: 'v' });
  });

  test('Docker Hub under the key that docker uses, and under its names; old keys with a scheme', async () => {
    const hub = await home({ '.docker/config.json': { auths: { 'https://index.docker.io/v1/': auth('hub', 'p') } } });
    expect(await findCredential('docker.io', 'library/x', { env: hub })).toMatchObject({ username: 'hub' });
    const plain = await home({
      '.docker/config.json': { auths: { 'docker.io': auth('hub', 'p'), 'https://r.example/v2/': auth('old', 'p') } },
    });
    expect(await findCredential('docker.io', 'library/x', { env: plain })).toMatchObject({ username: 'hub' });
    expect(await findCredential('r.example', 'x', { env: plain })).toMatchObject({ username: 'old' });
  });

  test('what a variable names comes before the usual places', async () => {
    const dir = await home({
      '.docker/config.json': { auths: { 'r.example': auth('usual', 'p'), 'only.example': auth('only', 'p') } },
      'given/auth.json': { auths: { 'r.example': auth('given', 'p') } },
      'run/containers/auth.json': { auths: { 'run.example': auth('run', 'p') } },
      'docker/config.json': { auths: { 'r.example': auth('docker', 'p') } },
    });
    const env = {
      ...dir,
      REGISTRY_AUTH_FILE: join(dir.HOME, 'given/auth.json'),
      XDG_RUNTIME_DIR: join(dir.HOME, 'run'),
    };
    expect(await findCredential('r.example', 'x', { env })).toMatchObject({ username: 'given' });
    expect(await findCredential('only.example', 'x', { env })).toMatchObject({ username: 'only' });
    expect(await findCredential('run.example', 'x', { env })).toMatchObject({ username: 'run' });
    const other = { ...env, DOCKER_CONFIG: join(dir.HOME, 'docker') };
    expect(await findCredential('r.example', 'x', { env: other })).toMatchObject({ username: 'docker' });
    expect(await findCredential('only.example', 'x', { env: other })).toBeUndefined();
  });

  test("containers' persistent file comes last", async () => {
    const env = await home({
      '.docker/config.json': { auths: { 'r.example': auth('docker', 'p') } },
      '.config/containers/auth.json': { auths: { 'r.example': auth('kept', 'p'), 'kept.example': auth('kept', 'p') } },
      'settings/containers/auth.json': { auths: { 'kept.example': auth('settings', 'p') } },
    });
    expect(await findCredential('r.example', 'x', { env })).toMatchObject({ username: 'docker' });
    expect(await findCredential('kept.example', 'x', { env })).toMatchObject({ username: 'kept' });
    const moved = { ...env, XDG_CONFIG_HOME: join(env.HOME, 'settings') };
    expect(await findCredential('kept.example', 'x', { env: moved })).toMatchObject({ username: 'settings' });
  });

  test('tokens', async () => {
    const env = await home({
      '.docker/config.json': { auths: { a: { identitytoken: 'refresh' }, b: { registrytoken: 'bearer' }, c: {} } },
    });
    expect(await findCredential('a', 'x', { env })).toEqual({ kind: 'identity-token', token: 'refresh' });
    expect(await findCredential('b', 'x', { env })).toEqual({ kind: 'registry-token', token: 'bearer' });
    expect(await findCredential('c', 'x', { env })).toBeUndefined();
  });

  test('a helper that keeps an identity token says so with the user name', async () => {
    const env = await home({
      'docker-credential-jar': `#!/bin/sh\necho '{"ServerURL":"r.example","Username":"<token>","Secret":"refresh-me"}'\n`,
      '.docker/config.json': { credsStore: 'jar' },
    });
    await chmod(join(env.HOME, 'docker-credential-jar'), 0o755);
    const found = await findCredential('r.example', 'x', { env: { ...env, PATH: `${env.HOME}:${process.env.PATH}` } });
    expect(found).toEqual({ kind: 'identity-token', token: 'refresh-me' });
  });

  test.each([
    ['not JSON', '{"auths": {"r.example": {"auth": "c2VjcmV0OnBhc3N3b3Jk"'],
    ['of another shape', { auths: { 'r.example': 'c2VjcmV0OnBhc3N3b3Jk' } }],
    ['without a colon', { auths: { 'r.example': { auth: Buffer.from('c2VjcmV0').toString('base64') } } }],
  ])('a file that is %s is named, its content is not', async (_, content) => {
    const env = await home({ '.docker/config.json': content });
    const error = await findCredential('r.example', 'x', { env }).catch((failure) => failure);
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('.docker/config.json') });
    expect(`${error.message}${error.hint}`).not.toMatch(/c2VjcmV0|password/);
  });

  test('no files, no credentials', async () => {
    expect(await findCredential('r.example', 'x', { env: await home() })).toBeUndefined();
    expect(await findCredential('r.example', 'x', { env: await home({ '.docker/config.json': '' }) })).toBeUndefined();
    expect(await findCredential('r.example', 'x', { env: {} })).toBeUndefined();
  });
});

describe('keeping', () => {
  test('what else is in the file stays; the file is its owner`s; a link stays a link', async () => {
    const env = await home({
      'real.json': { auths: { 'https://r.example/v1/': auth('old', 'p'), other: auth('o', 'p') }, psFormat: 'table' },
    });
    await mkdir(join(env.HOME, '.docker'));
    await symlink('../real.json', join(env.HOME, '.docker/config.json'));
    await saveCredential('r.example', { username: 'new', password: 'pass-word' }, env);
    const file = JSON.parse(await readFile(join(env.HOME, 'real.json'), 'utf8'));
    expect(file).toEqual({
      auths: { other: auth('o', 'p'), 'r.example': auth('new', 'pass-word') },
      psFormat: 'table',
    });
    expect((await stat(join(env.HOME, 'real.json'))).mode & 0o777).toBe(0o600);
    expect(await removeCredential('r.example', env)).toBe(true);
    expect(JSON.parse(await readFile(join(env.HOME, 'real.json'), 'utf8'))).toEqual({
      auths: { other: auth('o', 'p') },
      psFormat: 'table',
    });
    expect(await removeCredential('r.example', env)).toBe(false);
  });

  test('a link that leads to nothing yet stays a link', async () => {
    const env = await home();
    await mkdir(join(env.HOME, '.docker'));
    await symlink('../secrets/docker.json', join(env.HOME, '.docker/config.json'));
    await saveCredential('r.example', { username: 'u', password: 'pass-word' }, env);
    expect((await lstat(join(env.HOME, '.docker/config.json'))).isSymbolicLink()).toBe(true);
    expect((await stat(join(env.HOME, 'secrets/docker.json'))).mode & 0o777).toBe(0o600);
    expect(await findCredential('r.example', 'x', { env })).toMatchObject({ username: 'u' });
  });

  test.skipIf(process.getuid?.() !== 0)('root leaves the file to whom it belongs', async () => {
    const env = await home({ '.docker/config.json': { auths: {} } });
    await chown(join(env.HOME, '.docker/config.json'), 65534, 65534);
    await saveCredential('r.example', { username: 'u', password: 'pass-word' }, env);
    expect(await stat(join(env.HOME, '.docker/config.json'))).toMatchObject({ uid: 65534, gid: 65534 });
  });

  test.each([
    ['{"auths": {', 'not JSON'],
    ['{"auths": {}} // mine', 'JSON with a comment'],
    ['[]', 'a list'],
  ])('a file that is %j (%s) is not touched', async (content) => {
    const env = await home({ '.docker/config.json': content });
    const saving = saveCredential('r.example', { username: 'u', password: 'pass-word' }, env);
    await expect(saving).rejects.toMatchObject({ code: 'E_USAGE', hint: expect.stringContaining('mend the file') });
    expect(await readFile(join(env.HOME, '.docker/config.json'), 'utf8')).toBe(content);
    expect(await readdir(join(env.HOME, '.docker'))).toEqual(['config.json']);
  });

  test('what is in the file stays in its order, unknown fields too', async () => {
    const env = await home({
      '.docker/config.json':
        '{"HttpHeaders":{"X":"1"},"auths":{"a.example":{"auth":"YTpi","email":"a@b"}},"z":[1.5,null]}',
    });
    await saveCredential('r.example', { username: 'u', password: 'pass-word' }, env);
    await removeCredential('r.example', env);
    expect(JSON.stringify(JSON.parse(await readFile(join(env.HOME, '.docker/config.json'), 'utf8')))).toBe(
      '{"HttpHeaders":{"X":"1"},"auths":{"a.example":{"auth":"YTpi","email":"a@b"}},"z":[1.5,null]}',
    );
  });

  test('without a home there is no place', async () => {
    const saving = saveCredential('r.example', { username: 'u', password: 'pass-word' }, {});
    await expect(saving).rejects.toMatchObject({ code: 'E_USAGE', hint: 'set HOME or DOCKER_CONFIG' });
  });

  test('Docker Hub is kept under docker`s key', async () => {
    const env = await home();
    await saveCredential('docker.io', { username: 'u', password: 'pass-word' }, env);
    const file = JSON.parse(await readFile(join(env.HOME, '.docker/config.json'), 'utf8'));
    expect(Object.keys(file.auths)).toEqual(['https://index.docker.io/v1/']);
    expect((await stat(join(env.HOME, '.docker'))).mode & 0o777).toBe(0o700);
  });
});

describe('password files of the server', () => {
  test('bcrypt in all its spellings; comments', () => {
    const hash = `$2y$05$${'a'.repeat(53)}`;
    expect([...parseHtpasswd(`# people\nanna:${hash}\n\nbert:${hash.replace('y', 'b')}\r\n`, 'users').keys()]).toEqual([
      'anna',
      'bert',
    ]);
  });
  test('anything weaker is refused with its line', () => {
    expect(() => parseHtpasswd('# x\nanna:$apr1$abc$def', 'users')).toThrow('users:2: not USER:BCRYPT-HASH');
    expect(() => parseHtpasswd('anna', 'users')).toThrow('users:1');
  });
});
