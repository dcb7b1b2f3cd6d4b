import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Descriptor } from '../../../../src/image/oci.js';
import { Repository } from '../../../../src/registry/client.js';
import { pushImage } from '../../../../src/registry/push.js';
import type { Store } from '../../../../src/store/store.js';
import { slipway } from '../../../support/slipway.js';
import { copy, skopeoReadsAll, skopeoSees } from '../support/copy.js';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.js';
import { type Fault, faultProxy, type SeenRequest } from '../support/fault-proxy.js';
import { putImage, tagSmallImage } from '../support/images.js';
import { run } from '../support/programs.js';
import { RecordingReporter } from '../support/reporter.js';
import { testDir, testStore } from '../support/server.js';

let one: DockerRegistry;
let two: DockerRegistry;
beforeAll(async () => {
  [one, two] = await Promise.all([startDockerRegistry(), startDockerRegistry()]);
});
afterAll(() => Promise.all([one.close(), two.close()]));

/** An image at the first registry. */
async function at(registry: DockerRegistry, name: string, bytes = 300_000): Promise<Descriptor & { store: Store }> {
  const store = await testStore();
  const descriptor = await putImage(store, { layers: [{ big: randomBytes(bytes) }, { small: 'small' }] });
  await store.tag('x:1', descriptor);
  await pushImage(store, 'x:1', { to: `${registry.address}/${name}` });
  return { ...descriptor, store };
}

const isBlob = ({ path }: SeenRequest): boolean => /\/blobs\/sha256:/.test(path);

describe('from registry to registry', () => {
  test('nothing is sent twice, and what another repository has is mounted', async () => {
    const image = await at(one, 'a/x:1');
    const first = await copy(`docker://${one.address}/a/x:1`, `docker://${two.address}/b/y:2`);
    expect(first.copied).toBeGreaterThan(300_000);
    expect((await skopeoSees(`docker://${two.address}/b/y:2`)).digest).toBe(image.digest);
    expect(await copy(`docker://${one.address}/a/x:1`, `docker://${two.address}/b/y:2`)).toMatchObject({ copied: 0 });
    // another tag of the same repository
    expect(await copy(`docker://${one.address}/a/x:1`, `docker://${one.address}/a/x:2`)).toMatchObject({ copied: 0 });
    // another repository of the same registry
    const reporter = new RecordingReporter();
    const place = `docker://${one.address}/elsewhere/x:1`;
    expect(await copy(`docker://${one.address}/a/x:1`, place, { reporter })).toMatchObject({ copied: 0 });
    expect(reporter.tasks.map(({ note }) => note)).toEqual(['mounted', 'mounted', 'mounted']);
    await skopeoReadsAll(place, await testDir());
  });

  test('nothing lands on this disk', async () => {
    await at(one, 'disk/x:1', 12_000_000);
    const dir = await testDir();
    const trace = join(dir, 'trace');
    const root = join(dir, 'root');
    const launcher = new URL('../../../../bin/slipway', import.meta.url).pathname;
    const traced = await run(
      'strace',
      ['-f', '-qq', '-e', 'trace=openat,creat', '-o', trace, process.execPath, launcher].concat([
        'copy',
        `docker://${one.address}/disk/x:1`,
        `docker://${two.address}/disk/x:1`,
      ]),
      { env: { SLIPWAY_ROOT: root } },
    );
    expect(traced.code).toBe(0);
    const { stdout: written } = await run('grep', ['-E', 'O_(WRONLY|RDWR|CREAT)', trace]);
    const files = written.split('\n').filter((line) => line !== '' && !/"\/(?:dev|proc)\//.test(line));
    expect(files).toEqual([]);
    expect((await run('test', ['-e', root])).code).toBe(1);
  });

  test('a large blob goes in pieces while it is read in one go', async () => {
    await at(one, 'pieces/x:1', 3_000_000);
    const proxy = await faultProxy(one.address, () => undefined);
    await copy(`docker://${proxy.address}/pieces/x:1`, `docker://${two.address}/pieces/x:1`, {
      to: { chunkSize: 700_000 },
    });
    expect(two.log().match(/"PATCH \/v2\/pieces\/x\/blobs/g)?.length).toBe(5);
    expect(proxy.requests.filter((request) => request.method === 'GET' && isBlob(request))).toHaveLength(3);
  });

  test('connections that break on both sides do not matter', async () => {
    const image = await at(one, 'breaks/x:1', 3_000_000);
    const source = await faultProxy(one.address, (request) =>
      request.method === 'GET' && isBlob(request) && request.before === 0 ? { cutAnswerAfter: 400_000 } : undefined,
    );
    let cut = false;
    const target = await faultProxy(two.address, ({ method, before }): Fault | undefined => {
      if (method !== 'PATCH' || before !== 1 || cut) return undefined;
      cut = true;
      return { cutRequestAfter: 200_000 };
    });
    const place = `docker://${target.address}/breaks/x:1`;
    await copy(`docker://${source.address}/breaks/x:1`, place, { to: { chunkSize: 700_000 } });
    expect(cut).toBe(true);
    expect((await skopeoSees(place)).digest).toBe(image.digest);
    await skopeoReadsAll(place, await testDir());
  });

  test.each([
    [
      'a byte of a blob is another',
      (body: Buffer) => Buffer.concat([body.subarray(0, -1), Buffer.from([7])]),
      'E_DIGEST_MISMATCH',
    ],
    ['a blob is cut short', (body: Buffer) => body.subarray(0, -10), 'E_SIZE_MISMATCH'],
    ['a blob is longer', (body: Buffer) => Buffer.concat([body, Buffer.from('more')]), 'E_SIZE_MISMATCH'],
  ])('nothing appears when %s', async (_, body, code) => {
    const name = `lies/${code.toLowerCase()}-${randomBytes(3).toString('hex')}`;
    await at(one, `${name}:1`, 500_000);
    const source = await faultProxy(one.address, (request) =>
      request.method === 'GET' && isBlob(request) ? { body } : undefined,
    );
    // a registry that takes whatever it is given: it does not ask for the digest
    const target = await faultProxy(two.address, () => undefined);
    await expect(
      copy(`docker://${source.address}/${name}:1`, `docker://${target.address}/${name}:1`),
    ).rejects.toMatchObject({
      code,
      message: expect.stringContaining(source.address),
    });
    // no upload was ended with bytes that are not what they should be
    const ended = target.requests.filter(({ method, path }) => method === 'PUT' && path.includes('digest='));
    for (const { headers } of ended) expect(headers['content-length']).not.toBe('0');
    const repository = new Repository(two.address, name);
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('a manifest that is not what its digest says is refused', async () => {
    const image = await at(one, 'manifest/x:1');
    const source = await faultProxy(one.address, ({ method, path }) =>
      method === 'GET' && path.includes('/manifests/')
        ? { body: (body) => Buffer.from(body.toString().replace('"schemaVersion"', '"schemaVersioN"')) }
        : undefined,
    );
    await expect(
      copy(`docker://${source.address}/manifest/x@${image.digest}`, `docker://${two.address}/manifest/x:1`),
    ).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  });

  test('a digest at the destination must be that of the image', async () => {
    const image = await at(one, 'digest/x:1');
    const other = await at(one, 'digest/y:1');
    const from = `docker://${one.address}/digest/x:1`;
    await expect(copy(from, `docker://${two.address}/digest/x@${other.digest}`)).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
    });
    await copy(from, `docker://${two.address}/digest/x@${image.digest}`);
    expect((await new Repository(two.address, 'digest/x').resolve(image.digest)).digest).toBe(image.digest);
  });
});

describe('a mirror', () => {
  test('is asked first; when it fails on the way the registry itself is', async () => {
    const image = await at(one, 'upstream/x:1');
    const mirror = await faultProxy(one.address, (request) =>
      request.method === 'GET' && isBlob(request) ? { respond: { status: 404 } } : undefined,
    );
    const reporter = new RecordingReporter();
    const dir = await testDir();
    await copy(`docker://${one.address}/upstream/x:1`, `oci:${dir}:x`, {
      reporter,
      from: { mirrors: { [one.address]: [mirror.address] }, reporter },
    });
    expect((await skopeoSees(`oci:${dir}:x`)).digest).toBe(image.digest);
    expect(reporter.warnings.join()).toContain('trying the next place');
  });

  test('is not blamed for what fails at the destination', async () => {
    await at(one, 'blame/x:1');
    const mirror = await faultProxy(one.address, () => undefined);
    const target = await faultProxy(two.address, ({ method }) =>
      method === 'POST' ? { respond: { status: 403, body: '{}' } } : undefined,
    );
    const reporter = new RecordingReporter();
    await expect(
      copy(`docker://${one.address}/blame/x:1`, `docker://${target.address}/blame/x:1`, {
        reporter,
        from: { mirrors: { [one.address]: [mirror.address] }, reporter },
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining(target.address) });
    expect(reporter.warnings).toEqual([]);
  });
});

test('a name is kept in the store as it was written, as pull does', async () => {
  await at(one, 'library/x:1');
  const mirrors = { 'docker.io': [one.address] };
  const store = await testStore();
  for (const name of ['x:1', 'docker.io/x:1', 'docker.io/library/x:1'])
    await copy(`docker://${name}`, 'store:', { in: store, from: { mirrors } });
  expect((await store.images()).map(({ name }) => name)).toEqual(['docker.io/library/x:1', 'docker.io/x:1', 'x:1']);
});

test('the store remembers what a copy has brought where', async () => {
  const image = await at(one, 'notes/x:1');
  const store = await testStore();
  await copy(`docker://${one.address}/notes/x:1`, 'store:x:1', { in: store });
  expect(await store.sourcesOf(image.digest)).toEqual([{ host: one.address, repository: 'notes/x' }]);
  const reporter = new RecordingReporter();
  await copy('x:1', `docker://${one.address}/notes/other:1`, { in: store, reporter });
  expect(reporter.tasks.map(({ note }) => note)).toEqual(['mounted', 'mounted', 'mounted']);
});

describe('two registries with passwords', () => {
  let ann: DockerRegistry;
  let ben: DockerRegistry;
  beforeAll(async () => {
    [ann, ben] = await Promise.all([
      startDockerRegistry({ users: { ann: 'correct horse' } }),
      startDockerRegistry({ users: { ben: 'battery staple' } }),
    ]);
  });
  afterAll(() => Promise.all([ann.close(), ben.close()]));

  async function given() {
    const dir = await testDir();
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const env = { DOCKER_CONFIG: dir, REGISTRY_AUTH_FILE: join(dir, 'none'), XDG_RUNTIME_DIR: dir };
    onTestFinished(() => store.close());
    const call = (args: readonly string[], stdin?: string) =>
      slipway(['copy', '-q', ...args], { root: store.root, env, ...(stdin === undefined ? {} : { stdin }) });
    return { dir, call };
  }

  test('each gets its own, however they are given', async () => {
    const { call } = await given();
    const [a, b] = [`docker://${ann.address}/x:1`, `docker://${ben.address}/x:1`];
    expect(await call(['--dest-creds', 'ann:correct horse', 'x:1', a])).toMatchObject({ code: 0 });
    expect(await call(['--src-creds', 'ann:correct horse', '--dest-creds', 'ben:battery staple', a, b])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/),
    });
    const stdin = ['--src-username', 'ann', '--src-password-stdin', '-u', 'ben', '-p', 'battery staple'];
    expect(await call([...stdin, a, `docker://${ben.address}/y:1`], 'correct horse\n')).toMatchObject({ code: 0 });
    expect(await call(['-u', 'ann', '-p', 'correct horse', a, `docker://${ann.address}/y:1`])).toMatchObject({
      code: 0,
    });
  });

  test('one without, or with a wrong one, is refused and named', async () => {
    const { call, dir } = await given();
    const [a, b] = [`docker://${ann.address}/no:1`, `docker://${ben.address}/no:1`];
    const refused = await call(['--dest-creds', 'ann:wrong', 'x:1', a]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(ann.address) });
    expect(refused.stderr).not.toContain('wrong');
    expect(await call(['x:1', b])).toMatchObject({ code: 1, stderr: expect.stringContaining('slipway login') });
    expect(await call(['-u', 'ann', '-p', 'x', a, b])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/for which registry.*\n.*--src-username or --dest-username/),
    });
    expect(await call(['--src-creds', 'ann', a, b])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--src-password-stdin'),
    });
    expect(await call(['--src-password-stdin', '--dest-password-stdin', a, b], 'x')).toMatchObject({ code: 2 });
    await writeFile(join(dir, 'config.json'), '{}');
  });
});
