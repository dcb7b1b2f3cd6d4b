import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { Uploads } from '../../../src/registry/server/uploads.js';
import { collect } from '../../../src/store/collect.js';
import { Store } from '../../../src/store/store.js';
import { makeCertificates } from './support/certificates.js';
import { writeHtpasswd } from './support/htpasswd.js';
import { tagSmallImage } from './support/images.js';
import { must, run } from './support/programs.js';
import { codeOf, get, pushBlob, send } from './support/raw.js';
import { testDir, testServer, testStore } from './support/server.js';

const basic = (login: string) => ({ authorization: `Basic ${Buffer.from(login).toString('base64')}` });

describe('logins', () => {
  test('sixty wrong ones at once keep nobody out who has logged in, and are not all checked', async () => {
    const users = join(await testDir(), 'users');
    // Dear to check: sixty are sent sooner than a few are checked, also where everything takes its time.
    await writeHtpasswd(users, { anna: 'secret-of-anna' }, 12);
    const { address } = await testServer({ htpasswd: users });
    expect(await get(address, '/v2/', basic('anna:secret-of-anna'))).toMatchObject({ status: 200 });
    let wrongDone = 0;
    const wrong = Array.from({ length: 60 }, async (_, index) => {
      const answer = await get(address, '/v2/', basic(`anna:wrong-${index}`));
      wrongDone++;
      return answer;
    });
    expect(await get(address, '/v2/', basic('anna:secret-of-anna'))).toMatchObject({ status: 200 });
    expect(wrongDone).toBeLessThan(60);
    const answers = await Promise.all(wrong);
    const busy = answers.filter(({ status }) => status === 429);
    expect(answers.filter(({ status }) => status === 401).length).toBe(60 - busy.length);
    expect(busy.length).toBeGreaterThan(0);
    expect(busy.map((answer) => [codeOf(answer), answer.headers['retry-after']])).toEqual(
      busy.map(() => ['TOOMANYREQUESTS', '2']),
    );
    // nothing stays behind
    expect(await get(address, '/v2/', basic('anna:secret-of-anna'))).toMatchObject({ status: 200 });
    expect(await get(address, '/v2/', basic('anna:wrong-again'))).toMatchObject({ status: 401 });
  });

  test('requests without any are answered while others are checked', async () => {
    const users = join(await testDir(), 'users');
    await writeHtpasswd(users, { anna: 'secret-of-anna' });
    const { address } = await testServer({ htpasswd: users });
    const wrong = Array.from({ length: 40 }, (_, index) => get(address, '/v2/', basic(`anna:wrong-${index}`)));
    expect(await get(address, '/v2/')).toMatchObject({ status: 401 });
    await Promise.all(wrong);
  });
});

describe('uploads that are only begun', () => {
  test('shut nobody out: of the empty ones the oldest makes room', async () => {
    const { address } = await testServer({ limits: { most: 5 } });
    const mine = await send(address, 'POST', '/v2/a/blobs/uploads/');
    expect(await send(address, 'PATCH', String(mine.headers.location), {}, 'abc')).toMatchObject({ status: 202 });
    for (let count = 0; count < 20; count++)
      expect(await send(address, 'POST', '/v2/a/blobs/uploads/')).toMatchObject({ status: 202 });
    const { location } = mine.headers;
    expect(await send(address, 'PUT', `${location}?digest=${digestOf('abcd')}`, {}, 'd')).toMatchObject({
      status: 201,
    });
  });

  test('with some bytes of each one client does not shut out another', async () => {
    const store = await testStore();
    const uploads = new Uploads(store, { most: 4 });
    const write = (id: string) => uploads.append('a', id, Readable.from([Buffer.from('x')]) as never, undefined);
    const greedy: string[] = [];
    for (let count = 0; count < 4; count++) {
      greedy.push(await uploads.begin('a', '10.0.0.1'));
      await write(greedy.at(-1) ?? '');
    }
    await expect(uploads.begin('a', '10.0.0.1')).rejects.toMatchObject({ status: 429 });
    const other = await uploads.begin('a', '10.0.0.2');
    await write(other);
    expect(() => uploads.written('a', greedy[0] ?? '')).toThrowError(expect.objectContaining({ status: 404 }));
    expect(uploads.written('a', other)).toBe(1);
    const second = await uploads.begin('a', '10.0.0.2');
    await write(second);
    // as many as the other has: nobody gives way
    await expect(uploads.begin('a', '10.0.0.2')).rejects.toMatchObject({ status: 429 });
    await uploads.close();
  });
});

describe('at a loopback address', () => {
  test('requests for a name that is not its own are not answered, whatever they ask for', async () => {
    const store = await testStore();
    await tagSmallImage(store, 'secret:v1');
    const { address } = await testServer({ store, names: ['registry.lan'] });
    const port = address.split(':')[1];
    for (const path of ['/v2/', '/v2/_catalog', '/v2/secret/manifests/v1', '/v2/secret/tags/list']) {
      const refused = await get(address, path, { host: `evil.example:${port}` });
      expect([refused.status, codeOf(refused)]).toEqual([421, 'DENIED']);
      expect(refused.body).toContain('--name');
      for (const host of [`registry.lan:${port}`, `localhost:${port}`, address, `[::1]:${port}`])
        expect(await get(address, path, { host })).toMatchObject({ status: 200 });
    }
  });

  test('the names of its certificate are its own', async () => {
    const { cert, key, ca } = await makeCertificates(await testDir());
    const { address } = await testServer({ tls: { cert, key } });
    const port = address.split(':')[1];
    const ask = (name: string) =>
      must('curl', [
        ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', ca, '--noproxy', '*'],
        ...['--resolve', `registry.example:${port}:127.0.0.1`, '-H', `Host: ${name}:${port}`],
        `https://registry.example:${port}/v2/`,
      ]);
    expect(await ask('registry.example')).toBe('200');
    expect(await ask('evil.example')).toBe('421');
  });

  test('skopeo asks by address and by localhost', async () => {
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const { address } = await testServer({ store });
    for (const host of [address, `localhost:${address.split(':')[1]}`])
      expect(await run('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${host}/x:1`])).toMatchObject({
        code: 0,
      });
  });
});

describe('who only asks and reads', () => {
  async function imageOf(store: Store) {
    const { digest, size } = await tagSmallImage(store, 'x:1');
    const manifest = JSON.parse((await store.readBlob({ digest, size }, 1e6)).toString());
    return { manifest, layer: String(manifest.layers[0].digest) };
  }

  test('does not keep a prune away', async () => {
    const store = await testStore();
    const { layer, manifest } = await imageOf(store);
    const { address } = await testServer({ store });
    const other = await Store.open(store.root);
    onTestFinished(() => other.close());
    const { digest } = await store.putBlob(Buffer.from('left over'));
    for (const method of ['HEAD', 'GET']) {
      expect(await send(address, method, `/v2/x/blobs/${layer}`)).toMatchObject({ status: 200 });
      expect(await send(address, method, `/v2/x/blobs/${manifest.config.digest}`)).toMatchObject({ status: 200 });
      expect(await send(address, method, '/v2/x/manifests/1')).toMatchObject({ status: 200 });
      expect(await send(address, method, `/v2/x/blobs/${digestOf('absent')}`)).toMatchObject({ status: 404 });
    }
    expect(await collect(other)).toMatchObject({ blobs: 1 });
    expect(await store.blobSize(digest)).toBeUndefined();
    expect(await get(address, `/v2/x/blobs/${layer}`)).toMatchObject({ status: 200 });
  });

  test('and then pushes: what it was told is here stays until its manifest comes, though its name goes', async () => {
    const store = await testStore();
    const { layer, manifest } = await imageOf(store);
    const { address } = await testServer({ store });
    const other = await Store.open(store.root);
    onTestFinished(() => other.close());
    expect(await send(address, 'HEAD', `/v2/y/blobs/${layer}`)).toMatchObject({ status: 200 });
    const config = `{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`;
    expect(await pushBlob(address, 'y', config, digestOf(config))).toMatchObject({ status: 201 });
    await other.untag('x:1');
    expect(await collect(other)).toBeUndefined();
    const pushed = JSON.stringify({
      ...manifest,
      config: { ...manifest.config, digest: digestOf(config), size: config.length },
    });
    expect(
      await send(address, 'PUT', '/v2/y/manifests/1', { 'content-type': manifest.mediaType }, pushed),
    ).toMatchObject({ status: 201 });
    await expect.poll(() => collect(other), { timeout: 20_000 }).toBeDefined();
    expect(await get(address, `/v2/y/blobs/${layer}`)).toMatchObject({ status: 200 });
  });
});
