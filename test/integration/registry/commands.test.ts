import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import { pushImage } from '../../../src/registry/push.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.js';
import { faultProxy } from './support/fault-proxy.js';
import { writeHome } from './support/home.js';
import { putDocument, tagSmallImage, tempStore } from './support/images.js';
import { must } from './support/programs.js';
import { testDir } from './support/server.js';
import { startTokenServer } from './support/token-server.js';

const ANNA = { username: 'anna', password: 'the-password-of-anna' };

let registry: DockerRegistry;
let image: string;
let sbom: string;
beforeAll(async () => {
  registry = await startDockerRegistry();
  const { store, close } = await tempStore();
  try {
    const subject = await tagSmallImage(store, 'x:1');
    image = subject.digest;
    for (const name of ['k8s/base:v1', 'k8s/base:v2', 'k8s/base:v10', 'apps/web:1'])
      await pushImage(store, 'x:1', { to: `${registry.address}/${name}` });
    const empty = { mediaType: MEDIA.empty, ...(await store.putBlob(Buffer.from('{}'))) };
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: 'application/spdx+json',
      config: empty,
      layers: [empty],
      subject,
      annotations: { 'org.opencontainers.image.created': '2020-01-01T00:00:00Z' },
    };
    await store.tag('sbom:1', await putDocument(store, document));
    ({ digest: sbom } = (await pushImage(store, 'sbom:1', { to: `${registry.address}/k8s/base:sbom` })).descriptor);
  } finally {
    await close();
  }
});
afterAll(() => registry.close());

async function run(args: readonly string[], env?: NodeJS.ProcessEnv, stdin?: string) {
  return slipway(args, { root: await testDir(), env: { ...(await writeHome()), ...env }, ...(stdin && { stdin }) });
}

async function ok(...args: string[]): Promise<string> {
  return mustSlipway(args, { root: await testDir(), env: await writeHome() });
}

describe('tags', () => {
  test('one a line, or as JSON', async () => {
    const name = `${registry.address}/k8s/base`;
    expect((await ok('tags', name)).trimEnd().split('\n')).toEqual(expect.arrayContaining(['sbom', 'v1', 'v10', 'v2']));
    const { name: said, tags } = JSON.parse(await ok('tags', name, '--format', 'json'));
    expect(said).toBe(name);
    expect(tags).toEqual(expect.arrayContaining(['sbom', 'v1', 'v10', 'v2']));
  });

  test('of an image, or of nothing', async () => {
    expect(await run(['tags', `${registry.address}/k8s/base:v1`])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(`slipway tags ${registry.address}/k8s/base`),
    });
    expect(await run(['tags', `${registry.address}/none`, '--json'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"E_NOT_FOUND"'),
    });
  });

  test('that would drive the terminal are shown harmless', async () => {
    const body = JSON.stringify({ name: 'x', tags: ['\u001b[2Jv1'] });
    const hostile = await faultProxy(registry.address, () => ({ respond: { status: 200, body } }));
    expect(await ok('tags', `${hostile.address}/x`)).toBe('\\x1b[2Jv1\n');
  });
});

describe('search', () => {
  test('all repositories, those with a prefix, as JSON', async () => {
    const { address } = registry;
    expect(await ok('search', address)).toBe(`${address}/apps/web\n${address}/k8s/base\n`);
    expect(await ok('search', `${address}/k8`)).toBe(`${address}/k8s/base\n`);
    expect(await ok('search', `${address}/none`)).toBe('');
    expect(JSON.parse(await ok('search', `${address}/a`, '--json'))).toEqual({
      registry: address,
      repositories: ['apps/web'],
    });
  });

  test('where the registry does not tell', async () => {
    for (const status of [404, 405]) {
      const quiet = await faultProxy(registry.address, () => ({ respond: { status } }));
      expect(await run(['search', quiet.address])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`${quiet.address} does not tell which repositories it has`),
      });
    }
    expect(await run(['search', 'docker.io'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('slipway tags docker.io/NAME'),
    });
    expect(await run(['search', 'nginx'])).toMatchObject({ code: 2, stderr: expect.stringContaining('host[:port]') });
  });
});

describe('referrers', () => {
  test('of a tag and of a digest; by type; as JSON', async () => {
    const name = `${registry.address}/k8s/base`;
    const table = await ok('referrers', `${name}:v1`);
    expect(table).toMatch(/^DIGEST +TYPE +CREATED\n/);
    expect(table).toMatch(new RegExp(`${sbom} +application/spdx\\+json +\\d+ years ago\n`));
    expect(await ok('referrers', '-q', `${name}@${image}`)).toBe(`${sbom}\n`);
    expect(await ok('referrers', '-q', '--artifact-type', 'text/plain', `${name}:v1`)).toBe('');
    expect(JSON.parse(await ok('referrers', '--json', `${name}:v1`))).toMatchObject({
      name: `${name}:v1`,
      digest: image,
      referrers: [{ digest: sbom, artifactType: 'application/spdx+json' }],
    });
  });

  test('of what has none', async () => {
    expect(await run(['referrers', `${registry.address}/apps/web:1`])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: expect.stringContaining('nothing refers to'),
    });
  });
});

describe('login', () => {
  test('keeps what the registry accepts, nothing else', async () => {
    const guarded = await startDockerRegistry({ users: { [ANNA.username]: ANNA.password } });
    onTestFinished(() => guarded.close());
    const env = await writeHome();
    const args = ['login', '-u', ANNA.username, '--password-stdin', guarded.address];
    expect(await run(args, env, 'a-wrong-password')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('nothing was stored'),
    });
    expect(await readdir(env.HOME)).toEqual([]);
    expect(await run(args, env, `${ANNA.password}\n`)).toMatchObject({ code: 0 });
    expect(await run(['search', guarded.address], env)).toMatchObject({ code: 0 });
    expect(await run(['logout', guarded.address], env)).toMatchObject({ code: 0 });
    expect(await run(['search', guarded.address], env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`slipway login ${guarded.address}`),
    });
  });

  test('says when a registry did not ask', async () => {
    const ended = await run(['login', '-u', 'anna', '--password-stdin', registry.address], {}, 'whatever');
    expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('did not ask for a password') });
  });

  test('into a directory that cannot be written changes nothing', async () => {
    const dir = await testDir();
    await must('mount', ['-t', 'tmpfs', 'none', dir]);
    onTestFinished(() => must('umount', [dir]).then(() => {}));
    const content = '{"auths":{"other.example":{"auth":"YTpi"}}}';
    await writeFile(join(dir, 'config.json'), content);
    await must('mount', ['-o', 'remount,ro', dir]);
    const args = ['login', '-u', 'anna', '--password-stdin', registry.address];
    expect(await run(args, { DOCKER_CONFIG: dir }, 'the-password')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not allowed while writing the registry credentials.*\n.*DOCKER_CONFIG/),
    });
    expect(await readFile(join(dir, 'config.json'), 'utf8')).toBe(content);
    expect(await readdir(dir)).toEqual(['config.json']);
  });

  test('needs a name and a password', async () => {
    for (const args of [
      ['-u', 'anna'],
      ['-p', 'secret'],
      ['-u', 'an:na', '-p', 'secret'],
      ['-u', 'anna', '-p', ''],
    ])
      expect(await run(['login', ...args, registry.address])).toMatchObject({ code: 2, stdout: '' });
  });
});

test('passwords and tokens are in no output, whatever is asked for and whatever fails', async () => {
  const tokens = await startTokenServer(await testDir(), { users: { [ANNA.username]: ANNA.password } });
  onTestFinished(() => tokens.close());
  const guarded = await startDockerRegistry({ token: tokens });
  onTestFinished(() => guarded.close());
  const root = await testDir();
  const context = await testDir();
  await mkdir(join(context, 'etc'));
  await writeFile(join(context, 'etc/file'), 'content');
  await writeFile(join(context, 'Kubefile'), 'FROM scratch\nCOPY etc /etc/\n');
  await mustSlipway(['build', '-q', '-t', 'app:v1', context], { root });
  const env = await writeHome();
  const seen: string[] = [];
  const shown = async (args: readonly string[], stdin = ''): Promise<void> => {
    const { stdout, stderr } = await slipway(['--debug', ...args], { root, env, stdin });
    seen.push(stdout, stderr);
  };
  const watched = await faultProxy(guarded.address, ({ before, path }) =>
    before === 0 && path.includes('/tags/') ? { respond: { status: 503 } } : undefined,
  );
  const sentTokens = (): string[] =>
    watched.requests.map(({ headers }) => /^Bearer (.*)$/.exec(headers.authorization ?? '')?.[1] ?? '');
  const flags = ['-u', ANNA.username, '--password-stdin'];
  await shown(['login', ...flags, watched.address], ANNA.password);
  await shown(['login', ...flags, watched.address], 'another-secret-word');
  await shown(['push', 'app:v1', `${watched.address}/app:v1`]);
  await shown(['push', ...flags, 'app:v1', `${watched.address}/app:v2`], ANNA.password);
  await shown(['pull', `http://anna:${ANNA.password}@${watched.address}/app:v1`], '');
  await shown(['tags', `${watched.address}/app`]);
  const text = seen.join('');
  expect(text).toContain('again in'); // the debug lines are there
  expect(sentTokens().some((token) => token !== '')).toBe(true);
  const secrets = [ANNA.password, 'another-secret-word', ...sentTokens().filter((token) => token !== '')];
  for (const secret of secrets) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(Buffer.from(`${ANNA.username}:${secret}`).toString('base64'));
  }
});
