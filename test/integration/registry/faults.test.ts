import { randomBytes } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SlipwayError } from '../../../src/base/errors.js';
import { digestOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import type { Descriptor } from '../../../src/image/oci.js';
import { Repository } from '../../../src/registry/client.js';
import type { RegistryOptions } from '../../../src/registry/options.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { readImage } from '../../../src/store/local-image.js';
import type { Store } from '../../../src/store/store.js';
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.js';
import { type Fault, faultProxy, type SeenRequest } from './support/fault-proxy.js';
import { tagSmallImage, tempStore } from './support/images.js';
import { RecordingReporter } from './support/reporter.js';
import { testDir, testServer, testStore } from './support/server.js';
import { startTokenServer } from './support/token-server.js';

/** Waits between repetitions are real, but short. */
const QUICK: RegistryOptions = { retryDelay: 5 };

let registry: DockerRegistry;
let origin: Awaited<ReturnType<typeof tempStore>>;
/** An image at the registry: one layer of 2 MB, a small one, a config. */
let image: Descriptor;
let big: Descriptor;
beforeAll(async () => {
  registry = await startDockerRegistry();
  origin = await tempStore();
  image = await tagSmallImage(origin.store, 'x:1', { layers: [{ big: randomBytes(2_000_000) }, { small: 'small' }] });
  await pushImage(origin.store, 'x:1', { to: `${registry.address}/x:1` });
  big = (await readImage(origin.store, 'x:1')).manifest.layers[0] as Descriptor;
});
afterAll(async () => {
  await registry.close();
  await origin.close();
});

type Rule = (request: SeenRequest) => Fault | undefined;

const isBlob = ({ method, path }: SeenRequest, { digest }: Descriptor): boolean =>
  method === 'GET' && path.endsWith(digest);

/** Pulls the image through a proxy that misbehaves. */
async function pullThrough(rule: Rule, options: RegistryOptions = QUICK, into?: Store) {
  const proxy = await faultProxy(registry.address, rule);
  const store = into ?? (await testStore());
  return { proxy, store, pulled: pullImage(store, `${proxy.address}/x:1`, options) };
}

/** Pushes the image through a proxy that misbehaves, to an empty registry of ours or to docker's. */
async function pushThrough(rule: Rule, options: RegistryOptions = {}, upstream?: string) {
  const server = upstream ?? (await testServer()).address;
  const proxy = await faultProxy(server, rule);
  const repository = `r${randomBytes(4).toString('hex')}`;
  return {
    proxy,
    repository: new Repository(server, repository),
    pushed: pushImage(origin.store, 'x:1', { to: `${proxy.address}/${repository}:1`, ...QUICK, ...options }),
  };
}

/** @param begun the blob whose beginning stays, for the next pull to go on. */
async function expectNothingStored(store: Store, begun?: Descriptor): Promise<void> {
  expect(await store.images()).toEqual([]);
  const partial = begun === undefined ? '' : `partial-${begun.digest.slice('sha256:'.length)}`;
  for (const corner of await readdir(join(store.root, 'tmp'))) {
    expect(await readdir(join(store.root, 'tmp', corner))).toEqual(corner === partial ? ['content', 'lock'] : ['lock']);
  }
}

describe('a busy registry', () => {
  test.each([
    ['seconds', () => '1'],
    ['a date', () => new Date(Date.now() + 1000).toUTCString()],
  ])('429 with Retry-After as %s is waited for', async (_, retryAfter) => {
    const { pulled, proxy } = await pullThrough((request) =>
      isBlob(request, big) && request.before === 0
        ? { respond: { status: 429, headers: { 'retry-after': retryAfter() } } }
        : undefined,
    );
    expect((await pulled).descriptor.digest).toBe(image.digest);
    expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(2);
  });

  test('one that asks to wait an hour is not waited for', async () => {
    const { pulled, proxy } = await pullThrough(() => ({
      respond: { status: 429, headers: { 'retry-after': '3600' } },
    }));
    await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', hint: expect.stringContaining('60m00s') });
    expect(proxy.requests).toHaveLength(1);
  });

  test.each([408, 429, 500, 502, 503, 504])('%d three times, then the answer', async (status) => {
    const { pulled } = await pullThrough(({ before }) =>
      before < 3 ? { respond: { status, body: 'try again' } } : undefined,
    );
    expect((await pulled).descriptor.digest).toBe(image.digest);
  });

  test('500 for ever ends after five tries, with what the registry said', async () => {
    const body = '{"errors":[{"code":"UNKNOWN","message":"the disk is on fire"}]}';
    const { pulled, proxy, store } = await pullThrough((request) =>
      isBlob(request, big) ? { respond: { status: 500, body } } : undefined,
    );
    await expect(pulled).rejects.toMatchObject({
      code: 'E_REGISTRY',
      message: expect.stringContaining('the disk is on fire'),
    });
    expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(5);
    await expectNothingStored(store);
  });
});

describe('broken connections', () => {
  test('a reset in the middle of a blob: the rest is asked for', async () => {
    const { pulled, proxy } = await pullThrough((request) =>
      isBlob(request, big) && request.before < 2 ? { cutAnswerAfter: 700_000 } : undefined,
    );
    expect((await pulled).descriptor.digest).toBe(image.digest);
    const ranges = proxy.seen('GET', new RegExp(big.digest)).map(({ headers }) => headers.range);
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-\d+$/.test(range ?? ''))).toBe(true);
  });

  test('the same with a registry that knows no Range', async () => {
    const { pulled } = await pullThrough((request) =>
      isBlob(request, big)
        ? { hide: ['range'], ...(request.before === 0 ? { cutAnswerAfter: 700_000 } : {}) }
        : undefined,
    );
    expect((await pulled).descriptor.digest).toBe(image.digest);
  });

  test('a blob that always breaks at the same byte is given up', async () => {
    const { pulled, proxy, store } = await pullThrough((request) =>
      isBlob(request, big) ? { hide: ['range'], cutAnswerAfter: 700_000 } : undefined,
    );
    await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
    expect(proxy.seen('GET', new RegExp(big.digest)).length).toBeLessThan(8);
    await expectNothingStored(store, big);
  });

  test('a manifest cut off in the middle is fetched again', async () => {
    const { pulled } = await pullThrough(({ method, path, before }) =>
      method === 'GET' && path.includes('/manifests/') && before === 0 ? { cutAnswerAfter: 20 } : undefined,
    );
    expect((await pulled).descriptor.digest).toBe(image.digest);
  });

  test('a body that drips is waited for; one that stops is not', async () => {
    const config = (await readImage(origin.store, 'x:1')).manifest.config;
    const slow = await pullThrough((request) => (isBlob(request, config) ? { drip: 2 } : undefined));
    expect((await slow.pulled).descriptor.digest).toBe(image.digest);
    const stopped = await pullThrough(
      (request) =>
        isBlob(request, config) && request.before === 0
          ? { headers: () => ({ 'content-length': String(config.size) }), body: (body) => body.subarray(0, 10) }
          : undefined,
      { ...QUICK, timeouts: { idle: 300 } },
    );
    expect((await stopped.pulled).descriptor.digest).toBe(image.digest);
  });
});

describe('an interruption', () => {
  test('ends a pull with its own reason, and leaves nothing half done', async () => {
    const interrupt = new AbortController();
    const reason = new SlipwayError('E_INTERRUPTED', 'interrupted');
    const { pulled, store } = await pullThrough(
      (request) => {
        if (!isBlob(request, big)) return undefined;
        setTimeout(() => interrupt.abort(reason), 20);
        return { drip: 100 };
      },
      { ...QUICK, signal: interrupt.signal },
    );
    await expect(pulled).rejects.toBe(reason);
    await expectNothingStored(store, big);
  });

  test('of a pull is made good by the next one, which goes on where it ended', async () => {
    const store = await testStore();
    const cut = await pullThrough(
      (request) => (isBlob(request, big) ? { hide: ['range'], cutAnswerAfter: 700_000 } : undefined),
      QUICK,
      store,
    );
    await expect(cut.pulled).rejects.toMatchObject({ code: 'E_REGISTRY_UNREACHABLE' });
    const again = await pullThrough(() => undefined, QUICK, store);
    expect((await again.pulled).descriptor.digest).toBe(image.digest);
    const [request] = again.proxy.seen('GET', new RegExp(big.digest));
    expect(Number(/^bytes=(\d+)-/.exec(request?.headers.range ?? '')?.[1])).toBeGreaterThan(0);
    expect((await readdir(join(store.root, 'tmp'))).filter((name) => name.startsWith('partial-'))).toEqual([]);
  });

  test.each(['the beginning that was kept is spoilt', 'more was kept than there is'])(
    '%s: all of it comes again',
    async (how) => {
      const store = await testStore();
      const corner = join(store.root, 'tmp', `partial-${big.digest.slice('sha256:'.length)}`);
      await mkdir(corner, { recursive: true });
      await writeFile(join(corner, 'content'), randomBytes(how.startsWith('more') ? big.size + 1 : 1000));
      const { pulled } = await pullThrough(() => undefined, QUICK, store);
      expect((await pulled).descriptor.digest).toBe(image.digest);
      expect((await readdir(join(store.root, 'tmp'))).filter((name) => name.startsWith('partial-'))).toEqual([]);
    },
  );

  test('ends a push', async () => {
    const interrupt = new AbortController();
    const reason = new SlipwayError('E_INTERRUPTED', 'interrupted');
    const { pushed, repository } = await pushThrough(
      ({ method }) => {
        if (method === 'PUT') interrupt.abort(reason);
        return undefined;
      },
      { signal: interrupt.signal },
    );
    await expect(pushed).rejects.toBe(reason);
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

describe('content that is not what was named', () => {
  test('a wrong digest: nothing stored, not asked for again', async () => {
    const { pulled, proxy, store } = await pullThrough((request) =>
      isBlob(request, big)
        ? {
            body: (body) => {
              body[1000] = (body[1000] ?? 0) ^ 1;
              return body;
            },
          }
        : undefined,
    );
    await expect(pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    expect(proxy.seen('GET', new RegExp(big.digest))).toHaveLength(1);
    expect(await store.blobSize(big.digest)).toBeUndefined();
    await expectNothingStored(store);
  });

  test.each([
    ['shorter', (body: Buffer) => body.subarray(0, 1000), false],
    ['longer', (body: Buffer) => Buffer.concat([body, Buffer.from('more')]), false],
    ['shorter, without a length', (body: Buffer) => body.subarray(0, 1000), true],
    ['longer, without a length', (body: Buffer) => Buffer.concat([body, Buffer.from('more')]), true],
  ])('a body that is %s', async (_, body, chunked) => {
    const { pulled, store } = await pullThrough((request) =>
      isBlob(request, big)
        ? {
            hide: ['range'],
            body,
            ...(chunked ? { headers: () => ({ 'content-length': undefined, 'transfer-encoding': 'chunked' }) } : {}),
          }
        : undefined,
    );
    await expect(pulled).rejects.toMatchObject({ code: 'E_SIZE_MISMATCH' });
    expect(await store.blobSize(big.digest)).toBeUndefined();
    await expectNothingStored(store);
  });

  test('a manifest of another digest, by tag and by digest', async () => {
    const change = (body: Buffer): Buffer => Buffer.concat([body, Buffer.from('\n')]);
    const isManifest = ({ method, path }: SeenRequest): boolean => method === 'GET' && path.includes('/manifests/');
    const { pulled, store } = await pullThrough((request) => (isManifest(request) ? { body: change } : undefined));
    await expect(pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    await expectNothingStored(store);
    // the header that says so is believed neither
    const lying = await pullThrough((request) =>
      isManifest(request) ? { body: change, headers: () => ({ 'docker-content-digest': undefined }) } : undefined,
    );
    await expect(lying.pulled).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
  });

  test('Docker-Content-Digest absent: the manifest is fetched and hashed; wrong: refused', async () => {
    const absent = await pullThrough(({ path }) =>
      path.includes('/manifests/') ? { headers: () => ({ 'docker-content-digest': undefined }) } : undefined,
    );
    expect((await absent.pulled).descriptor.digest).toBe(image.digest);
    const other = digestOf('something else');
    const wrong = await pullThrough(({ path }) =>
      path.includes('/manifests/') ? { headers: () => ({ 'docker-content-digest': other }) } : undefined,
    );
    await expect(wrong.pulled).rejects.toMatchObject({ code: expect.stringMatching(/E_NOT_FOUND|E_DIGEST_MISMATCH/) });
    const nonsense = await pullThrough(({ path }) =>
      path.includes('/manifests/') ? { headers: () => ({ 'docker-content-digest': 'sha256:../../x' }) } : undefined,
    );
    await expect(nonsense.pulled).rejects.toMatchObject({ code: 'E_INVALID_DIGEST' });
  });

  test.each([undefined, 'text/plain', 'application/json', 'application/octet-stream'])(
    'Content-Type %s: the manifest speaks for itself',
    async (type) => {
      const { pulled } = await pullThrough(({ path }) =>
        path.includes('/manifests/') ? { headers: () => ({ 'content-type': type }) } : undefined,
      );
      expect((await pulled).descriptor).toMatchObject({ digest: image.digest, mediaType: MEDIA.manifest });
    },
  );

  test('a manifest with an index`s fields, or that is called one, is refused', async () => {
    const both = Buffer.from(
      JSON.stringify({ ...JSON.parse((await origin.store.readBlob(image, 1e6)).toString()), manifests: [] }),
    );
    const confused = await pullThrough(({ path }) =>
      path.includes('/manifests/')
        ? { respond: { status: 200, headers: { 'content-type': MEDIA.manifest }, body: both } }
        : undefined,
    );
    await expect(confused.pulled).rejects.toMatchObject({ code: 'E_INVALID_MANIFEST' });
    const called = await pullThrough(({ path }) =>
      path.includes('/manifests/') ? { headers: () => ({ 'content-type': MEDIA.index }) } : undefined,
    );
    await expect(called.pulled).rejects.toMatchObject({ code: 'E_INVALID_MANIFEST' });
  });

  test('a manifest without end is not read to it', async () => {
    const { pulled } = await pullThrough(({ method, path }) =>
      method === 'GET' && path.includes('/manifests/') ? { body: () => Buffer.alloc(5_000_000, ' ') } : undefined,
    );
    await expect(pulled).rejects.toMatchObject({
      code: 'E_REGISTRY',
      message: expect.stringContaining('more than 4194304 bytes'),
    });
  });
});

describe('redirects', () => {
  test('blobs on another host are fetched from there, without our credentials', async () => {
    const users = { anna: 'the-password-of-anna' };
    const guarded = await startDockerRegistry({ users });
    onTestFinished(() => guarded.close());
    const options = { ...QUICK, credential: { username: 'anna', password: 'the-password-of-anna' } };
    await pushImage(origin.store, 'x:1', { to: `${guarded.address}/x:1`, ...options });
    const storage = await faultProxy(registry.address, () => undefined);
    const front = await faultProxy(guarded.address, ({ method, path }) =>
      method === 'GET' && path.includes('/blobs/')
        ? { respond: { status: 307, headers: { location: `http://${storage.address}${path}?signature=a%2Bb` } } }
        : undefined,
    );
    const store = await testStore();
    expect((await pullImage(store, `${front.address}/x:1`, options)).descriptor.digest).toBe(image.digest);
    expect(front.requests.some(({ headers }) => headers.authorization !== undefined)).toBe(true);
    expect(storage.requests).toHaveLength(3);
    expect(
      storage.requests.map(({ headers, path }) => [headers.authorization, path.includes('?signature=a%2Bb')]),
    ).toEqual(Array(3).fill([undefined, true]));
  });

  test('a circle is left', async () => {
    const { pulled, proxy } = await pullThrough(({ path }) =>
      path.includes('/blobs/') ? { respond: { status: 302, headers: { location: path } } } : undefined,
    );
    await expect(pulled).rejects.toMatchObject({ code: 'E_REGISTRY', message: expect.stringContaining('redirects') });
    expect(proxy.seen('GET', new RegExp(big.digest)).length).toBeLessThan(12);
  });
});

describe('uploads', () => {
  test.each([
    ['relative', (path: string) => path],
    ['with a query of its own', (path: string) => `${path}${path.includes('?') ? '&' : '?'}token=a%2Fb+c&x=`],
    ['on another path', (path: string) => path.replace('/v2/', '/elsewhere/v2/')],
  ])('a Location that is %s', async (_, change) => {
    // The registry says absolute URLs of its own address; the proxy turns them into what the test is about, and back.
    const upstream = await faultProxy(registry.address, () => undefined);
    const { pushed, proxy, repository } = await pushThrough(
      ({ path }) => ({
        headers: ({ location }) => {
          if (location === undefined || !path.includes('uploads')) return {};
          const { pathname, search } = new URL(location, 'http://x');
          return { location: change(`${pathname}${search}`) };
        },
      }),
      { chunkSize: 500_000 },
      await rewriting(upstream.address),
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    expect(proxy.seen('PATCH', /uploads/)).toHaveLength(Math.ceil(big.size / 500_000));
  });

  test('a connection that breaks in the middle of a piece: the upload goes on where it stopped', async () => {
    const { pushed, proxy, repository } = await pushThrough(
      ({ method, headers }) =>
        method === 'PATCH' && headers['content-range']?.startsWith('600000-')
          ? { cutRequestAfter: 250_000 }
          : undefined,
      { chunkSize: 600_000 },
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    const starts = proxy.seen('PATCH', /uploads/).map(({ headers }) => Number(headers['content-range']?.split('-')[0]));
    expect(starts[2]).toBeGreaterThan(600_000); // not from the beginning of the piece
    expect(proxy.seen('POST', /uploads/)).toHaveLength(3); // one for each blob: nothing was begun again
  });

  test('docker`s registry forgets an upload that broke: it is begun again', async () => {
    let broken = false;
    const { pushed, proxy, repository } = await pushThrough(
      ({ method, headers }) => {
        if (method !== 'PATCH' || !headers['content-range']?.startsWith('600000-') || broken) return undefined;
        broken = true;
        return { cutRequestAfter: 250_000 };
      },
      { chunkSize: 600_000 },
      registry.address,
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    expect(proxy.seen('GET', /uploads/)).toHaveLength(1);
  });

  test('416: the registry is asked where it is', async () => {
    let refused = 0;
    const { pushed, proxy, repository } = await pushThrough(
      ({ method, headers }) => {
        if (method !== 'PATCH' || !headers['content-range']?.startsWith('600000-') || refused++ > 0) return undefined;
        return { respond: { status: 416 } };
      },
      { chunkSize: 600_000 },
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    expect(proxy.seen('GET', /uploads/)).toHaveLength(1);
  });

  test('a registry that has lost the upload gets it anew', async () => {
    let lost = false;
    const { pushed, repository } = await pushThrough(
      ({ method, headers }) => {
        if (method === 'PATCH' && headers['content-range']?.startsWith('600000-') && !lost) {
          lost = true;
          return { cutRequestAfter: 10 };
        }
        return method === 'GET' ? { respond: { status: 404 } } : undefined;
      },
      { chunkSize: 600_000 },
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
  });

  test('the answer to the last request is lost: the blob is there, and is not sent again', async () => {
    let lost = false;
    const { pushed, proxy, repository } = await pushThrough(
      ({ method, path }) => {
        if (method !== 'PUT' || !path.includes(encodeURIComponent(big.digest)) || lost) return undefined;
        lost = true;
        return { loseAnswer: true };
      },
      { chunkSize: 600_000 },
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    expect(proxy.seen('PATCH', /uploads/)).toHaveLength(Math.ceil(big.size / 600_000));
  });

  test('a registry that takes no pieces gets the blob whole', async () => {
    const { pushed, proxy, repository } = await pushThrough(
      ({ method }) => (method === 'PATCH' ? { respond: { status: 405 } } : undefined),
      { chunkSize: 600_000 },
    );
    await pushed;
    expect(await repository.hasBlob(big)).toBe(true);
    expect(proxy.seen('PATCH', /uploads/)).toHaveLength(1);
  });

  test('pieces are as big as the registry demands', async () => {
    const { pushed, proxy } = await pushThrough(
      ({ method }) => (method === 'POST' ? { headers: () => ({ 'oci-chunk-min-length': '900000' }) } : undefined),
      { chunkSize: 300_000 },
    );
    await pushed;
    expect(proxy.seen('PATCH', /uploads/)).toHaveLength(Math.ceil(big.size / 900_000));
  });

  test('a registry that computes another digest: E_DIGEST_MISMATCH, no tag', async () => {
    const { pushed, repository } = await pushThrough(({ method, path }) =>
      method === 'PUT' && path.includes('uploads')
        ? {
            respond: {
              status: 400,
              body: '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match uploaded content"}]}',
            },
          }
        : undefined,
    );
    await expect(pushed).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('a registry that refuses to mount gets the blobs', async () => {
    const server = await testServer();
    await pushImage(origin.store, 'x:1', { to: `${server.address}/first:1` });
    const proxy = await faultProxy(server.address, ({ method, path }) =>
      method === 'HEAD' && path.includes('/blobs/')
        ? { respond: { status: 404 } }
        : path.includes('mount=')
          ? { respond: { status: 403 } }
          : undefined,
    );
    for (const { digest } of [big]) await origin.store.noteSource(digest, proxy.address, 'first');
    const pushed = await pushImage(origin.store, 'x:1', { to: `${proxy.address}/second:1`, ...QUICK });
    expect(pushed.copied).toBeGreaterThan(big.size);
    expect(proxy.seen('POST', /mount=/)).toHaveLength(1);
  });
});

describe('tokens', () => {
  test('one that expires between two blobs is renewed', async () => {
    const tokens = await startTokenServer(await testDir(), { users: { anna: 'the-password-of-anna' } });
    onTestFinished(() => tokens.close());
    const guarded = await startDockerRegistry({ token: tokens });
    onTestFinished(() => guarded.close());
    const options = { ...QUICK, credential: { username: 'anna', password: 'the-password-of-anna' } };
    const spent = new Set<string | undefined>();
    const proxy = await faultProxy(guarded.address, ({ method, path, headers }) => {
      if (!path.includes('/blobs/') || headers.authorization === undefined) return undefined;
      // the first token is good for one request with a body to or from a blob
      if (spent.size === 0 && method !== 'HEAD') {
        spent.add(headers.authorization);
        return undefined;
      }
      return spent.has(headers.authorization) ? { hide: ['authorization'] } : undefined;
    });
    await pushImage(origin.store, 'x:1', { to: `${proxy.address}/x:1`, ...options });
    const renewed = tokens.requests.length;
    expect(renewed).toBe(2);
    spent.clear();
    const store = await testStore();
    expect((await pullImage(store, `${proxy.address}/x:1`, options)).descriptor.digest).toBe(image.digest);
    expect(tokens.requests.length).toBe(renewed + 2);
  });

  test.each([
    ['plain http elsewhere', 'http://192.0.2.1/token'],
    ['no URL', 'token'],
  ])('a realm that is %s never gets the password', async (_, realm) => {
    const { pulled } = await pullThrough(
      () => ({ respond: { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}",service="x"` } } }),
      {
        ...QUICK,
        credential: { username: 'anna', password: 'the-password-of-anna' },
      },
    );
    await expect(pulled).rejects.toMatchObject({ code: 'E_UNAUTHORIZED', message: expect.stringContaining('refused') });
  });

  test('a registry that is never content gets an error, not a loop', async () => {
    const tokens = await startTokenServer(await testDir(), { open: ['x'] });
    onTestFinished(() => tokens.close());
    const { pulled, proxy } = await pullThrough(() => ({
      respond: {
        status: 401,
        headers: { 'www-authenticate': `Bearer realm="${tokens.realm}",service="x",scope="repository:x:pull,push"` },
      },
    }));
    await expect(pulled).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
    expect(proxy.requests.length).toBeLessThanOrEqual(3);
    expect(tokens.requests.length).toBeLessThanOrEqual(2);
  });
});

describe('lists', () => {
  test('a list of three pages', async () => {
    const proxy = await faultProxy(registry.address, ({ path }) => {
      const page = Number(/page=(\d)/.exec(path)?.[1] ?? 1);
      const link = page < 3 ? { link: `</v2/x/tags/list?page=${page + 1}>; rel="next"` } : {};
      return {
        respond: {
          status: 200,
          headers: link,
          body: JSON.stringify({ name: 'x', tags: page === 2 ? null : [`t${page}`] }),
        },
      };
    });
    expect(await new Repository(proxy.address, 'x').listTags()).toEqual(['t1', 't3']);
  });

  test('pages without end, and pages that are none', async () => {
    const circle = await faultProxy(registry.address, () => ({
      respond: { status: 200, headers: { link: '</v2/x/tags/list?page=2>; rel=next' }, body: '{"tags":["t"]}' },
    }));
    await expect(new Repository(circle.address, 'x').listTags()).rejects.toMatchObject({
      code: 'E_REGISTRY',
      message: expect.stringContaining('no end'),
    });
    const html = await faultProxy(registry.address, () => ({ respond: { status: 200, body: '<html>hello</html>' } }));
    await expect(new Repository(html.address, 'x').listTags()).rejects.toMatchObject({
      code: 'E_REGISTRY',
      hint: 'is there a registry at this address?',
    });
  });
});

test('what a registry wants to say to people is said once', async () => {
  const reporter = new RecordingReporter();
  const { pulled, proxy } = await pullThrough(
    () => ({ headers: () => ({ warning: '299 - "this registry moves \\"soon\\""' }) }),
    { ...QUICK, reporter },
  );
  await pulled;
  expect(reporter.warnings).toEqual([`${proxy.address} says: this registry moves "soon"`]);
});

/** Undoes what the Location tests do to paths. */
async function rewriting(upstream: string): Promise<string> {
  const http = await import('node:http');
  const [host, port] = upstream.split(':');
  const server = http.createServer((request, response) => {
    const path = (request.url ?? '')
      .replace('/elsewhere/v2/', '/v2/')
      .replace('&token=a%2Fb+c&x=', '')
      .replace('?token=a%2Fb+c&x=', '');
    request.pipe(
      http.request({ host, port, path, method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}
