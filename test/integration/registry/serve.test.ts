import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { pullImage } from '../../../src/registry/pull.js';
import { collect } from '../../../src/store/collect.js';
import { Store } from '../../../src/store/store.js';
import { slipway, startSlipway } from '../../support/slipway.js';
import { writeHtpasswd } from './support/htpasswd.js';
import { tagSmallImage } from './support/images.js';
import { must } from './support/programs.js';
import { get, pushBlob, send } from './support/raw.js';
import { RecordingReporter } from './support/reporter.js';
import { serve } from './support/serve.js';
import { testDir, testServer, testStore } from './support/server.js';
import { makeAuthority } from './support/x509.js';

describe('the end of the server', () => {
  test('SIGTERM: what is under way comes to its end, nobody else is let in', async () => {
    const server = await serve();
    const content = randomBytes(40_000_000);
    await pushBlob(server.address, 'a', content, digestOf(content));
    const begun = await send(server.address, 'POST', '/v2/a/blobs/uploads/');
    const [host, port] = server.address.split(':');
    // A download that has begun and is read slowly, and a connection that waits for its next request.
    const download = http.get({ host, port, path: `/v2/a/blobs/${digestOf(content)}` });
    const [response] = (await once(download, 'response')) as [http.IncomingMessage];
    const agent = new http.Agent({ keepAlive: true });
    const idle = http.get({ host, port, path: '/v2/', agent });
    const [answer] = (await once(idle, 'response')) as [http.IncomingMessage];
    answer.resume();
    const idleClosed = once(idle.socket as NonNullable<typeof idle.socket>, 'close');

    server.kill('SIGTERM');
    await idleClosed;
    await expect.poll(() => server.output(), { timeout: 20_000 }).toContain('finishing a request');
    // Reset, when a connection that was kept from before is tried and found closed.
    await expect(get(server.address, '/v2/')).rejects.toMatchObject({
      code: expect.stringMatching(/^ECONN(REFUSED|RESET)$/),
    });
    let size = 0;
    for await (const chunk of response) size += (chunk as Buffer).byteLength;
    expect(size).toBe(content.byteLength);
    expect(await server.ended).toMatchObject({ code: 0, signal: null });
    expect(begun.status).toBe(202);
    expect(await readdir(join(server.root, 'tmp'))).toEqual([]); // the unfinished upload too
  });

  test('a second signal ends it at once', async () => {
    const server = await serve();
    const content = randomBytes(40_000_000);
    await pushBlob(server.address, 'a', content, digestOf(content));
    const [host, port] = server.address.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => {});
    onTestFinished(() => {
      socket.destroy();
    });
    socket.write(`GET /v2/a/blobs/${digestOf(content)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(socket, 'readable'); // and not read
    server.kill('SIGTERM');
    await expect.poll(() => server.output(), { timeout: 20_000 }).toContain('finishing a request');
    server.kill('SIGTERM');
    expect(await server.ended).toMatchObject({ code: 130 });
  });

  test('kill -9 in the middle of an upload: swept by the next one, and the store is whole', async () => {
    const first = await serve();
    await pushBlob(first.address, 'a', 'kept', digestOf('kept'));
    const { headers } = await send(first.address, 'POST', '/v2/a/blobs/uploads/');
    const [host, port] = first.address.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => {});
    socket.write(
      `PATCH ${headers.location} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n${'x'.repeat(3_000_000)}`,
    );
    const unfinished = async (): Promise<string[]> => {
      const corners = await readdir(join(first.root, 'tmp'));
      const files = await Promise.all(corners.map((corner) => readdir(join(first.root, 'tmp', corner))));
      return files.flat().filter((name) => name !== 'lock');
    };
    await expect.poll(unfinished, { timeout: 20_000 }).toHaveLength(1);
    first.kill('SIGKILL');
    await first.ended;
    expect(await unfinished()).toHaveLength(1);
    const second = await serve([], first.root);
    expect(await send(second.address, 'GET', String(headers.location))).toMatchObject({ status: 404 });
    expect(await pushBlob(second.address, 'a', 'new', digestOf('new'))).toMatchObject({ status: 201 });
    expect(await unfinished()).toEqual([]);
    expect(await get(second.address, `/v2/a/blobs/${digestOf('kept')}`)).toMatchObject({ status: 200, body: 'kept' });
    expect(await slipway(['store', 'check'], { root: first.root })).toMatchObject({ code: 0 });
  });
});

describe('what is said', () => {
  test('where it listens, also as JSON', async () => {
    const started = startSlipway(['registry', 'serve', '--listen', '127.0.0.1:0', '--json'], { root: await testDir() });
    onTestFinished(async () => {
      started.kill('SIGKILL');
      await started.ended;
    });
    await expect.poll(() => started.output(), { timeout: 60_000 }).toContain('\n');
    const { address } = JSON.parse(started.output());
    expect(await get(address, '/v2/')).toMatchObject({ status: 200, body: '{}' });
    started.kill('SIGINT');
    expect(await started.ended).toMatchObject({ code: 0 });
  });

  test('why it cannot listen', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => new Promise<void>((resolve) => void other.close(() => resolve())));
    const taken = other.address();
    const busy = `127.0.0.1:${typeof taken === 'object' ? taken?.port : ''}`;
    const root = await testDir();
    const dir = await testDir();
    await writeFile(join(dir, 'users'), 'anna:$apr1$weak$hash\n');
    const { cert } = await (await makeAuthority(dir)).issue('one');
    const { key } = await (await makeAuthority(await testDir())).issue('two');
    for (const [args, message] of [
      [['--listen', busy], `cannot listen on ${busy}: the port is in use`],
      [['--listen', '192.0.2.1:5000'], 'this machine does not have that address'],
      [['--listen', '5000'], 'write host:port'],
      [['--listen', 'localhost:99999'], 'write host:port'],
      [['--htpasswd', join(dir, 'absent')], 'cannot read the password file'],
      [['--htpasswd', join(dir, 'users')], 'htpasswd -B'],
      [['--tls-cert', cert], '--tls-cert and --tls-key belong together'],
      [['--tls-cert', cert, '--tls-key', key], 'cannot serve TLS with'],
      [['--tls-cert', cert, '--tls-key', join(dir, 'absent')], 'absent'],
    ] as const) {
      const listen = args[0] === '--listen' ? [] : ['--listen', '127.0.0.1:0'];
      const ended = await slipway(['registry', 'serve', ...listen, ...args], { root });
      expect([args, ended.code]).toEqual([args, 2]);
      expect(ended.stderr).toContain(message);
    }
  });

  test.each([
    ['0.0.0.0:0', true],
    [':0', true],
    ['127.0.0.1:0', false],
    ['[::1]:0', false],
    ['localhost:0', false],
  ])('a warning for what others can reach: %s %s', async (listen, warned) => {
    const reporter = new RecordingReporter();
    await testServer({ listen, reporter });
    expect(reporter.warnings).toHaveLength(warned ? 1 : 0);
    if (warned) expect(reporter.warnings[0]).toContain('without --htpasswd and --tls-cert and --tls-key');
  });

  test('no warning when it is guarded', async () => {
    const dir = await testDir();
    await writeHtpasswd(join(dir, 'users'), { anna: 'secret-of-anna' });
    const { cert, key } = await (await makeAuthority(dir)).issue('server');
    const reporter = new RecordingReporter();
    const guarded = { htpasswd: join(dir, 'users'), tls: { cert, key } };
    await testServer({ listen: '0.0.0.0:0', reporter, ...guarded });
    expect(reporter.warnings).toEqual([]);
    await testServer({ listen: '0.0.0.0:0', reporter, htpasswd: guarded.htpasswd });
    expect(reporter.warnings.join()).toContain('without --tls-cert and --tls-key');
  });
});

test('a store on a read-only medium is served', async () => {
  const dir = await testDir();
  await must('mount', ['-t', 'tmpfs', 'none', dir]);
  onTestFinished(() => must('umount', [dir]).then(() => {}));
  const store = await Store.open(dir);
  const { digest } = await tagSmallImage(store, 'x:1');
  await store.close();
  await must('mount', ['-o', 'remount,ro', dir]);
  const server = await serve(['--read-only'], dir);
  const there = await testStore();
  expect((await pullImage(there, `${server.address}/x:1`)).descriptor.digest).toBe(digest);
  expect(await send(server.address, 'POST', '/v2/x/blobs/uploads/')).toMatchObject({ status: 405 });
  server.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ code: 0 });
});

describe('running for long', () => {
  test('a renewed certificate is taken over; one that cannot be used is not', async () => {
    const dir = await testDir();
    const authority = await makeAuthority(dir);
    const first = await authority.issue('first');
    const second = await authority.issue('second');
    const files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') };
    const install = async ({ cert, key }: typeof first): Promise<void> => {
      for (const [from, to] of [
        [key, files.key],
        [cert, files.cert],
      ] as const) {
        await copyFile(from, `${to}.new`);
        await rename(`${to}.new`, to);
      }
    };
    await install(first);
    const reporter = new RecordingReporter();
    const { address } = await testServer({ tls: files, reporter, limits: { tlsLook: 20 } });
    const ca = await readFile(authority.cert);
    const subject = (): Promise<string> => commonName(address, ca);
    expect(await subject()).toBe('first');
    await install(second);
    await expect.poll(subject, { timeout: 20_000 }).toBe('second');
    await writeFile(files.cert, 'nonsense');
    await expect.poll(() => reporter.warnings.join(), { timeout: 20_000 }).toContain('the old ones are used on');
    expect(await subject()).toBe('second');
  });

  test('the lease of a push: over as soon as its manifest is there, held while an upload takes its time', async () => {
    const server = await testServer();
    const other = await Store.open(server.store.root); // as another process would
    onTestFinished(() => other.close());
    const { address } = server;
    const config = '{"architecture":"amd64","os":"linux"}';
    await pushBlob(address, 'a', config, digestOf(config));
    // the layer comes slowly
    const begun = await send(address, 'POST', '/v2/a/blobs/uploads/');
    const [host, port] = address.split(':');
    const socket = connect(Number(port), host);
    onTestFinished(() => {
      socket.destroy();
    });
    const digest = digestOf('0123456789');
    socket.write(
      `PUT ${begun.headers.location}?digest=${digest} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n01234`,
    );
    await expect
      .poll(async () => (await send(address, 'GET', String(begun.headers.location))).headers.range, { timeout: 20_000 })
      .toBe('0-4');
    expect(await collect(other)).toBeUndefined();
    socket.write('56789');
    await once(socket, 'data');
    expect(await collect(other)).toBeUndefined(); // blobs wait for their manifest
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: 10 }],
    });
    const type = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
    expect(await send(address, 'PUT', '/v2/a/manifests/v1', type, manifest)).toMatchObject({ status: 201 });
    await expect.poll(() => collect(other), { timeout: 20_000 }).toMatchObject({ blobs: 0 });
    expect(await get(address, `/v2/a/blobs/${digest}`)).toMatchObject({ status: 200 });
  });

  test('a push that begins during a collection waits for its end', async () => {
    const server = await testServer();
    const other = await Store.open(server.store.root);
    onTestFinished(() => other.close());
    let end = (): void => {};
    const collecting = new Promise<void>((resolve) => (end = resolve));
    let begun = (): void => {};
    const started = new Promise<void>((resolve) => (begun = resolve));
    const collection = other.exclusively(() => {
      begun();
      return collecting;
    });
    await started;
    let answered = false;
    const posted = send(server.address, 'POST', '/v2/a/blobs/uploads/').then((answer) => {
      answered = true;
      return answer;
    });
    await expect.poll(() => server.busy(), { timeout: 20_000 }).toBe(1);
    expect(await get(server.address, '/v2/')).toMatchObject({ status: 200 }); // who only reads need not wait
    expect(answered).toBe(false);
    end();
    await collection;
    expect(await posted).toMatchObject({ status: 202 });
  });

  test('a blob that a client has been told is here stays until its manifest comes', async () => {
    const server = await testServer();
    const other = await Store.open(server.store.root);
    onTestFinished(() => other.close());
    const { digest } = await server.store.putBlob(Buffer.from('left over'));
    expect(await send(server.address, 'HEAD', `/v2/a/blobs/${digest}`)).toMatchObject({ status: 200 });
    expect(await collect(other)).toBeUndefined();
    expect(await get(server.address, `/v2/a/blobs/${digest}`)).toMatchObject({ status: 200 });
  });

  test('a server that only serves does not stand in the way of a collection', async () => {
    const store = await testStore();
    const { digest } = await store.putBlob(Buffer.from('left over'));
    const { address } = await testServer({ store, readOnly: true });
    expect(await send(address, 'HEAD', `/v2/a/blobs/${digest}`)).toMatchObject({ status: 200 });
    expect(await collect(store)).toMatchObject({ blobs: 1 });
    expect(await send(address, 'HEAD', `/v2/a/blobs/${digest}`)).toMatchObject({ status: 404 });
  });
});

function commonName(address: string, ca: Buffer): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: Number(port), ca }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
