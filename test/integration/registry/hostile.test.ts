import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { Uploads } from '../../../src/registry/server/uploads.js';
import { Store } from '../../../src/store/store.js';
import { listTree } from '../../support/tree.js';
import { must } from './support/programs.js';
import { codeOf, get, pushBlob, send } from './support/raw.js';
import { testDir, testServer, testStore } from './support/server.js';

// What strangers may send to a server that is reachable from elsewhere.

describe('paths', () => {
  const digest = digestOf('x');
  test.each([
    ['/v2/a/../../etc/manifests/v1', 404],
    ['/v2/a/%2e%2e/%2e%2e/etc/manifests/v1', 404],
    ['/v2/a%2Fb/manifests/v1', 400],
    ['/v2/..%2F..%2Fetc/manifests/v1', 400],
    ['/v2/a/manifests/..%2F..%2Findex.json', 404],
    ['/v2/a/manifests/%00', 404],
    ['/v2/a/manifests/%ff', 400],
    ['/v2/a/blobs/sha256:..%2F..%2Findex.json', 400],
    ['/v2/a/blobs/sha256:../../index.json', 400],
    [`/v2/a/blobs/${digest.toUpperCase()}`, 400],
    [`/v2/a/blobs/${digest.slice(0, -1)}`, 400],
    [`/v2/a/blobs/${digest}0`, 400],
    ['/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', 400],
    ['/v2/a/blobs/uploads/..%2F..%2Findex.json', 404],
    ['/v2/a/blobs/uploads/__proto__', 404],
    [`/v2/a/referrers/sha256:..%2F..`, 400],
    [`/v2/${'a/'.repeat(200)}a/manifests/v1`, 400],
    ['/v2/A/manifests/v1', 400],
    ['/v2/a//b/manifests/v1', 400],
    ['/v2/-a/manifests/v1', 400],
    ['/v2/host:5000/a/manifests/v1', 400],
    ['/v2/__proto__/manifests/v1', 400],
    ['//v2/a/manifests/v1', 404],
    ['/V2/', 404],
    ['/', 404],
    ['http://elsewhere.example/v2/', 200],
  ])('%s: %d', async (path, status) => {
    const server = await testServer();
    const before = listTree(server.store.root);
    const answer = await get(server.address, path);
    expect(answer.status).toBe(status);
    if (status !== 200) expect(codeOf(answer)).toMatch(/^[A-Z_]+$/);
    // PUT reaches what GET does not
    expect((await send(server.address, 'PUT', path, {}, '{}')).status).toBeGreaterThanOrEqual(400);
    expect(listTree(server.store.root).filter((line) => !line.startsWith('tmp') && !/\.lock /.test(line))).toEqual(
      before.filter((line) => !line.startsWith('tmp')),
    );
  });

  test('an upload cannot be finished as a path', async () => {
    const { address } = await testServer();
    for (const digest of ['sha256:../../../index.json', '../x', 'sha256:', '', 'sha512:00'])
      expect(await pushBlob(address, 'a', 'x', digest)).toMatchObject({ status: 400 });
  });
});

describe('bodies', () => {
  test('a manifest that is too large is refused, and the answer can be read', async () => {
    const server = await testServer();
    const answer = await send(server.address, 'PUT', '/v2/a/manifests/v1', {}, Buffer.alloc(5_000_000, ' '));
    expect([answer.status, codeOf(answer)]).toEqual([413, 'MANIFEST_INVALID']);
    expect(await server.store.images()).toEqual([]);
  });

  test.each([
    'PUT /v2/a/manifests/v1',
    'GET /v2/',
    'DELETE /v2/a/manifests/v1',
    'POST /v2/_catalog',
    'POST /v2/a/blobs/uploads/',
  ])('one without end to %s is not read for ever', async (line) => {
    const server = await testServer({ limits: { idle: 2000 } });
    const socket = await rawConnection(server.address);
    socket.write(`${line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const piece = `10000\r\n${'x'.repeat(65536)}\r\n`;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    let sent = 0;
    while (!socket.destroyed && sent < 400_000_000) {
      sent += piece.length;
      if (!socket.write(piece)) await Promise.race([once(socket, 'drain').catch(() => {}), closed]);
    }
    await closed;
    expect(sent).toBeLessThan(400_000_000);
    expect(await get(server.address, '/v2/')).toMatchObject({ status: 200 });
  });

  test('an upload that fills the disk is 507, and leaves nothing', async () => {
    const dir = await testDir();
    await must('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', dir]);
    onTestFinished(() => must('umount', [dir]).then(() => {}));
    const store = await Store.open(dir);
    onTestFinished(() => store.close());
    const server = await testServer({ store });
    const content = randomBytes(12_000_000);
    const answer = await pushBlob(server.address, 'a', content, digestOf(content));
    expect([answer.status, codeOf(answer)]).toEqual([507, 'UNKNOWN']);
    expect(await unfinished(store)).toEqual([]);
    expect(await pushBlob(server.address, 'a', 'small', digestOf('small'))).toMatchObject({ status: 201 });
  });

  test('what is no HTTP is refused, and nobody else notices', async () => {
    const { address } = await testServer();
    for (const text of [
      'SSH-2.0-OpenSSH_9.2\r\n\r\n',
      `GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`,
      'PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET /v2/ HTTP/1.1\r\n\r\n',
    ]) {
      const socket = await rawConnection(address);
      let answer = '';
      socket.on('data', (chunk) => (answer += chunk));
      socket.write(text);
      await once(socket, 'close');
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    }
    expect(await get(address, '/v2/')).toMatchObject({ status: 200 });
  });
});

describe('slow ones', () => {
  test('the head of a request must come in time', async () => {
    const { address } = await testServer({ limits: { head: 1000 } });
    const socket = await rawConnection(address);
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n');
    const timer = setInterval(() => socket.write('X: y\r\n'), 50);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    await once(socket, 'close');
    clearInterval(timer);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  });

  test('an upload that stops is ended, and can be continued', async () => {
    const { address } = await testServer({ limits: { idle: 2000 } });
    const { headers } = await send(address, 'POST', '/v2/a/blobs/uploads/');
    const location = String(headers.location);
    const socket = await rawConnection(address);
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello `);
    await once(socket, 'close');
    expect(await send(address, 'GET', location)).toMatchObject({ status: 204, headers: { range: '0-5' } });
    const digest = digestOf('hello world');
    const last = { 'content-range': '6-10' };
    expect(await send(address, 'PUT', `${location}?digest=${digest}`, last, 'world')).toMatchObject({ status: 201 });
  });

  test('a client that does not read what it asked for is given up', async () => {
    const server = await testServer({ limits: { idle: 2000 } });
    const { digest } = await server.store.putBlob(randomBytes(30_000_000));
    const socket = await rawConnection(server.address);
    socket.pause();
    socket.write(`GET /v2/a/blobs/${digest} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await expect.poll(() => server.busy(), { timeout: 20_000 }).toBe(1);
    await expect.poll(() => server.busy(), { timeout: 20_000 }).toBe(0);
  });
});

describe('many uploads', () => {
  test('that are only begun cost no open files; the oldest make room', async () => {
    const { address } = await testServer({ limits: { most: 100, stale: 0 } });
    const files = (await readdir('/proc/self/fd')).length;
    const first = await send(address, 'POST', '/v2/a/blobs/uploads/');
    for (let count = 0; count < 300; count++) {
      const answer = await send(address, 'POST', '/v2/a/blobs/uploads/');
      if (answer.status !== 202) expect(answer).toBe(202);
    }
    expect((await readdir('/proc/self/fd')).length).toBeLessThan(files + 50);
    expect(await send(address, 'GET', String(first.headers.location))).toMatchObject({ status: 404 });
  });

  test('that are all in use: others are asked to come back', async () => {
    const { address } = await testServer({ limits: { most: 3 } });
    const begun = [];
    for (let count = 0; count < 3; count++) {
      const { headers } = await send(address, 'POST', '/v2/a/blobs/uploads/');
      begun.push(await send(address, 'PATCH', String(headers.location), {}, 'x'));
    }
    const refused = await send(address, 'POST', '/v2/a/blobs/uploads/');
    expect([refused.status, codeOf(refused)]).toEqual([429, 'TOOMANYREQUESTS']);
    expect(refused.headers['retry-after']).toBe('30');
    const { location } = begun[0]?.headers ?? {};
    expect(await send(address, 'PUT', `${location}?digest=${digestOf('xx')}`, {}, 'x')).toMatchObject({ status: 201 });
    expect(await send(address, 'POST', '/v2/a/blobs/uploads/')).toMatchObject({ status: 202 });
  });

  test('requests for the same one, at once, do not write into each other', async () => {
    const store = await testStore();
    const uploads = new Uploads(store);
    const id = await uploads.begin('a', 'somebody');
    // What Node hands us of a request is a stream. One that hangs, then several that come back at the same moment.
    const request = (pieces: Iterable<Buffer>) => Readable.from(pieces) as unknown as IncomingMessage;
    const hanging = new PassThrough();
    hanging.write('a');
    const first = uploads.append('a', id, hanging as unknown as IncomingMessage, undefined);
    await expect.poll(() => uploads.written('a', id)).toBe(1);
    const others = ['b', 'c', 'd', 'e'].map((letter) =>
      uploads.append('a', id, request(Array.from({ length: 50 }, () => Buffer.from(letter))), undefined),
    );
    const ended = await Promise.allSettled([first, ...others]);
    expect(ended.map(({ status }) => status)).toEqual([...Array(4).fill('rejected'), 'fulfilled']);
    // Of each that was ended some letters are there, in one run; of the last all. Only the digest tells what has arrived.
    const wrong = await uploads.finish('a', id, digestOf('something else')).catch((error) => error.details.actual);
    const counts = Array.from({ length: 51 }, (_, count) => count);
    const isThere = counts.some((b) =>
      counts.some((c) =>
        counts.some((d) => digestOf(`a${'b'.repeat(b)}${'c'.repeat(c)}${'d'.repeat(d)}${'e'.repeat(50)}`) === wrong),
      ),
    );
    expect(isThere).toBe(true);
  });

  test('that broke off in one request leave nothing', async () => {
    const server = await testServer();
    const digest = digestOf('x'.repeat(1000));
    const socket = await rawConnection(server.address);
    socket.write(
      `POST /v2/a/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n${'x'.repeat(500)}`,
    );
    await expect.poll(() => unfinished(server.store)).toHaveLength(1);
    socket.destroy();
    await expect.poll(() => unfinished(server.store)).toEqual([]);
  });
});

test('a manifest cannot smuggle in what was not pushed, nor make the server read it', async () => {
  const server = await testServer();
  const config = Buffer.from('{}');
  await pushBlob(server.address, 'a', config, digestOf(config));
  const descriptor = { mediaType: MEDIA.config, digest: digestOf(config), size: 2 };
  for (const change of [
    { config: { ...descriptor, digest: 'sha256:../../index.json' } },
    { config: { ...descriptor, size: -1 } },
    { config: { ...descriptor, size: 1e300 } },
    { config: { ...descriptor, mediaType: MEDIA.index } },
    { layers: [{ ...descriptor, digest: digestOf('absent') }] },
    { manifests: [] },
    { schemaVersion: 1 },
    { __proto__: { config: descriptor } },
  ]) {
    const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config: descriptor, layers: [], ...change };
    const text = JSON.stringify('__proto__' in change ? { ...manifest, config: undefined } : manifest);
    const answer = await send(server.address, 'PUT', '/v2/a/manifests/v1', { 'content-type': MEDIA.manifest }, text);
    expect([JSON.stringify(change), answer.status >= 400 && answer.status < 500]).toEqual([
      JSON.stringify(change),
      true,
    ]);
  }
  expect(await server.store.images()).toEqual([]);
});

test('a stranger`s Host decides over nothing but which names are the server`s own', async () => {
  const server = await testServer({ listen: '0.0.0.0:0' });
  const address = server.address.replace('0.0.0.0', '127.0.0.1');
  const { status } = await get(address, '/v2/_catalog', { host: 'evil.example\u0000' }).catch(() => ({
    status: 400,
  }));
  expect(status).toBe(400);
  expect(await get(address, '/v2/_catalog', { host: '../../etc' })).toMatchObject({ status: 200 });
});

test.each([
  ['http://evil.example', undefined],
  // What a name of its own stands for, a page decides.
  ['http://evil.example:5000', 'evil.example:5000'],
  ['null', undefined],
])('a page of %s, asking %s, is not answered', async (origin, host) => {
  const server = await testServer();
  expect(await get(server.address, '/v2/_catalog', { origin, ...(host === undefined ? {} : { host }) })).toMatchObject({
    status: 403,
  });
  expect(await get(server.address, '/v2/_catalog', { origin: `http://${server.address}` })).toMatchObject({
    status: 200,
  });
});

async function rawConnection(address: string): Promise<Socket> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  onTestFinished(() => {
    socket.destroy();
  });
  await once(socket, 'connect');
  return socket;
}

/** The files of unfinished work in a store, relative to `tmp`. */
async function unfinished(store: Store): Promise<string[]> {
  const files: string[] = [];
  for (const corner of await readdir(join(store.root, 'tmp')))
    for (const name of await readdir(join(store.root, 'tmp', corner)))
      if (name !== 'lock') files.push(join(corner, name));
  return files;
}
