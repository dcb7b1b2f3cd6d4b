import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { catalog, Repository } from '../../../src/registry/client.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { collect } from '../../../src/store/collect.js';
import { makeCertificates } from './support/certificates.js';
import { writeHtpasswd } from './support/htpasswd.js';
import { putDocument, putImage, putIndex, tagSmallImage } from './support/images.js';
import { get, send } from './support/raw.js';
import { testDir, testServer, testStore } from './support/server.js';

describe('our client and our server', () => {
  test('what is pushed is an image of the server`s store, and comes back', async () => {
    const server = await testServer();
    const [here, there] = [await testStore(), await testStore()];
    const descriptor = await tagSmallImage(here, 'k8s:v1', { layers: [{ big: randomBytes(500_000) }, { small: 'x' }] });
    await pushImage(here, 'k8s:v1', { to: `${server.address}/k8s:v1`, chunkSize: 100_000 });
    expect(await server.store.images()).toMatchObject([{ name: 'k8s:v1', descriptor }]);
    expect((await pullImage(there, `${server.address}/k8s:v1`)).descriptor).toEqual(descriptor);
    expect((await pushImage(here, 'k8s:v1', { to: `${server.address}/other:v1` })).copied).toBe(0);
  });

  test('names with the server`s own address, and with hosts without a port, are served', async () => {
    const server = await testServer();
    const own = await tagSmallImage(server.store, `${server.address}/own:v1`);
    const hub = await tagSmallImage(server.store, 'docker.io/library/web:1');
    await tagSmallImage(server.store, 'elsewhere.example:5000/hidden:v1');
    expect(await catalog(server.address)).toEqual(['docker.io/library/web', 'own']);
    expect((await new Repository(server.address, 'own').resolve('v1')).digest).toBe(own.digest);
    const copy = await testStore();
    expect((await pullImage(copy, `${server.address}/docker.io/library/web:1`)).descriptor).toEqual(hub);
  });

  test('an index comes with its images; what is pushed by digest is kept until a tag leads to it', async () => {
    const server = await testServer();
    const here = await testStore();
    const [amd, arm] = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64' },
    ];
    const index = await putIndex(here, [
      [amd, await putImage(here, { layers: [{ a: '1' }], platform: amd })],
      [arm, await putImage(here, { layers: [{ a: '2' }], platform: arm })],
    ]);
    await here.tag('multi:v1', index);
    await pushImage(here, 'multi:v1', { to: `${server.address}/multi:v1` });
    expect((await server.store.images()).map(({ name }) => name)).toEqual(['multi:v1']);
    const loose = await tagSmallImage(here, 'loose:v1');
    await pushImage(here, 'loose:v1', { to: `${server.address}/loose@${loose.digest}` });
    expect((await server.store.images()).map(({ name }) => name)).toEqual([`loose@${loose.digest}`, 'multi:v1']);
    expect((await new Repository(server.address, 'loose').resolve(loose.digest)).digest).toBe(loose.digest);
  });

  test('tags in pages, referrers, deletion', async () => {
    const server = await testServer();
    const here = await testStore();
    const subject = await tagSmallImage(here, 'a:1');
    for (const tag of ['1', '2', '3', '4', '5']) await pushImage(here, 'a:1', { to: `${server.address}/a:${tag}` });
    const page = await get(server.address, '/v2/a/tags/list?n=2&last=1');
    expect(JSON.parse(page.body)).toEqual({ name: 'a', tags: ['2', '3'] });
    expect(page.headers.link).toBe('</v2/a/tags/list?n=2&last=3>; rel="next"');
    const repository = new Repository(server.address, 'a');
    expect(await repository.listTags()).toEqual(['1', '2', '3', '4', '5']);

    const empty = { mediaType: MEDIA.empty, ...(await here.putBlob(Buffer.from('{}'))) };
    const sbom = await putDocument(here, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: 'text/sbom',
      config: empty,
      layers: [empty],
      subject,
    });
    await here.tag('sbom:v1', sbom);
    await pushImage(here, 'sbom:v1', { to: `${server.address}/a@${sbom.digest}` });
    expect(await repository.referrers(subject.digest, 'text/sbom')).toMatchObject([
      { digest: sbom.digest, artifactType: 'text/sbom' },
    ]);
    expect(await repository.referrers(subject.digest, 'text/other')).toEqual([]);

    await repository.deleteManifest(subject.digest);
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(repository.deleteManifest(subject.digest)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  test('a read-only server changes nothing', async () => {
    const server = await testServer({ readOnly: true });
    const here = await testStore();
    await tagSmallImage(here, 'x:1');
    await expect(pushImage(here, 'x:1', { to: `${server.address}/x:1` })).rejects.toMatchObject({
      code: 'E_REGISTRY',
      status: 405,
    });
    expect(await server.store.images()).toEqual([]);
  });

  test('only who is in the password file gets in', async () => {
    const htpasswd = join(await testDir(), 'users');
    await writeHtpasswd(htpasswd, { anna: 'secret-of-anna' });
    const server = await testServer({ htpasswd });
    const here = await testStore();
    await tagSmallImage(here, 'x:1');
    const push = (password: string) =>
      pushImage(here, 'x:1', { to: `${server.address}/x:1`, credential: { username: 'anna', password } });
    await expect(push('wrong-one')).rejects.toMatchObject({
      code: 'E_UNAUTHORIZED',
      hint: expect.stringContaining(`slipway login ${server.address}`),
    });
    await push('secret-of-anna');
    expect((await get(server.address, '/v2/')).status).toBe(401);
    await writeHtpasswd(htpasswd, { bert: 'another-secret' });
    await expect(push('secret-of-anna')).rejects.toMatchObject({ code: 'E_UNAUTHORIZED' });
  });

  test('TLS', async () => {
    const dir = await testDir();
    const { ca, cert, key } = await makeCertificates(dir);
    const server = await testServer({ tls: { cert, key } });
    const here = await testStore();
    await tagSmallImage(here, 'x:1');
    const to = `${server.address}/x:1`;
    await expect(pushImage(here, 'x:1', { to })).rejects.toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining(`/etc/docker/certs.d/${server.address}/ca.crt`),
    });
    await pushImage(here, 'x:1', { to, env: { NODE_EXTRA_CA_CERTS: ca } });
  });
});

describe('the protocol', () => {
  test('a blob in parts, and what cannot be', async () => {
    const server = await testServer();
    const { digest } = await server.store.putBlob(Buffer.from('0123456789'));
    const path = `/v2/any/blobs/${digest}`;
    expect(await get(server.address, path, { range: 'bytes=2-4' })).toMatchObject({
      status: 206,
      body: '234',
      headers: { 'content-range': 'bytes 2-4/10' },
    });
    expect(await get(server.address, path, { range: 'bytes=-3' })).toMatchObject({ status: 206, body: '789' });
    expect(await get(server.address, path, { range: 'bytes=10-' })).toMatchObject({
      status: 416,
      headers: { 'content-range': 'bytes */10' },
    });
    expect(await get(server.address, path, { range: 'pages=1-2' })).toMatchObject({ status: 200, body: '0123456789' });
    expect((await send(server.address, 'HEAD', path)).headers['content-length']).toBe('10');
  });

  test('an upload in pieces goes on only where it is, and ends only with the right digest', async () => {
    const server = await testServer();
    const begun = await send(server.address, 'POST', '/v2/up/blobs/uploads/');
    expect(begun.status).toBe(202);
    const location = String(begun.headers.location);
    const piece = (text: string, range: string) =>
      send(server.address, 'PATCH', location, { 'content-range': range }, text);
    expect(await piece('hello ', '0-5')).toMatchObject({ status: 202, headers: { range: '0-5' } });
    expect(await piece('world', '7-11')).toMatchObject({ status: 416, headers: { range: '0-5', location } });
    expect(await send(server.address, 'GET', location)).toMatchObject({ status: 204, headers: { range: '0-5' } });
    expect(await piece('world', '6-10')).toMatchObject({ status: 202, headers: { range: '0-10' } });
    const wrong = digestOf('something else');
    const refused = await send(server.address, 'PUT', `${location}?digest=${wrong}`);
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.body).errors[0].code).toBe('DIGEST_INVALID');
    expect((await send(server.address, 'HEAD', `/v2/up/blobs/${wrong}`)).status).toBe(404);
    expect((await send(server.address, 'GET', location)).status).toBe(404);
  });

  test('a cancelled upload, and one whose server ends, leave nothing', async () => {
    const server = await testServer();
    const [one, two] = [
      await send(server.address, 'POST', '/v2/x/blobs/uploads/'),
      await send(server.address, 'POST', '/v2/x/blobs/uploads/'),
    ];
    for (const { headers } of [one, two]) await send(server.address, 'PATCH', String(headers.location), {}, 'half');
    expect(await send(server.address, 'DELETE', String(one.headers.location))).toMatchObject({ status: 204 });
    expect(await send(server.address, 'PATCH', String(one.headers.location), {}, 'more')).toMatchObject({
      status: 404,
    });
    await server.close();
    const corners = await readdir(join(server.store.root, 'tmp'));
    for (const corner of corners) expect(await readdir(join(server.store.root, 'tmp', corner))).toEqual(['lock']);
  });

  test('a manifest whose content is missing, and names that are none, are refused', async () => {
    const server = await testServer();
    const lonely = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: digestOf('absent'), size: 6 },
      layers: [],
    });
    const put = await send(server.address, 'PUT', '/v2/x/manifests/v1', { 'content-type': MEDIA.manifest }, lonely);
    expect(put.status).toBe(404);
    expect(JSON.parse(put.body).errors[0].code).toBe('MANIFEST_BLOB_UNKNOWN');
    const bad = await send(server.address, 'PUT', '/v2/x/manifests/v1', { 'content-type': MEDIA.index }, lonely);
    expect(JSON.parse(bad.body).errors[0].code).toBe('MANIFEST_INVALID');
    expect((await get(server.address, '/v2/UPPER/tags/list')).status).toBe(400);
    expect((await get(server.address, '/v2/a/../../etc/manifests/v1')).status).toBe(404);
    expect((await get(server.address, '/v2/a/blobs/sha256:..%2F..%2Fetc')).status).toBe(400);
    expect((await get(server.address, '/v2/none/tags/list')).status).toBe(404);
    expect(await server.store.images()).toEqual([]);
  });

  test('what is being pushed cannot be collected', async () => {
    const server = await testServer();
    const { headers } = await send(server.address, 'POST', '/v2/x/blobs/uploads/');
    await send(server.address, 'PUT', `${headers.location}?digest=${digestOf('content')}`, {}, 'content');
    expect(await collect(server.store)).toBeUndefined();
    await server.close();
    expect(await collect(server.store)).toMatchObject({ blobs: 1 });
  });
});
