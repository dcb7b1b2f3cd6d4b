import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { codeOf, get, pushBlob, send } from './support/raw.js';
import { testServer } from './support/server.js';

// The cases of opencontainers/distribution-spec's conformance suite (v1.1) by its four workflows, as requests on the wire.

const REPOSITORY = 'myorg/myrepo';
const OCTETS = { 'content-type': 'application/octet-stream' };
const EMPTY = Buffer.from('{}');

/** Pushes a manifest of one layer with this content; gives its bytes and digests. */
async function pushImage(address: string, reference: string, content = randomBytes(50).toString('hex'), extra = {}) {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', author: content }));
  const layer = Buffer.from(content);
  for (const blob of [config, layer])
    expect((await pushBlob(address, REPOSITORY, blob, digestOf(blob))).status).toBe(201);
  const bytes = JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: digestOf(config), size: config.byteLength },
    layers: [{ mediaType: MEDIA.layerGzip, digest: digestOf(layer), size: layer.byteLength }],
    ...extra,
  });
  const put = await putManifest(address, reference, bytes);
  expect(put.status).toBe(201);
  return { bytes, digest: digestOf(bytes), config: digestOf(config), layer: digestOf(layer), put };
}

function putManifest(address: string, reference: string, bytes: string, type: string = MEDIA.manifest) {
  return send(address, 'PUT', `/v2/${REPOSITORY}/manifests/${reference}`, { 'content-type': type }, bytes);
}

describe('pull', () => {
  test('nonexistent blobs and manifests are 404', async () => {
    const { address } = await testServer();
    const absent = digestOf('absent');
    for (const method of ['GET', 'HEAD']) {
      for (const path of [
        `blobs/${absent}`,
        `manifests/${absent}`,
        'manifests/.INVALID_MANIFEST_NAME',
        'manifests/x',
      ]) {
        const answer = await send(address, method, `/v2/${REPOSITORY}/${path}`);
        expect([path, answer.status]).toEqual([path, 404]);
        if (method === 'HEAD') expect(answer.body).toBe('');
      }
    }
    expect(codeOf(await get(address, `/v2/${REPOSITORY}/blobs/${absent}`))).toBe('BLOB_UNKNOWN');
    expect(codeOf(await get(address, `/v2/${REPOSITORY}/manifests/x`))).toBe('MANIFEST_UNKNOWN');
    expect(codeOf(await get(address, `/v2/${REPOSITORY}/tags/list`))).toBe('NAME_UNKNOWN');
  });

  test('a blob: GET, HEAD, parts, validators', async () => {
    const { address } = await testServer();
    const content = '0123456789';
    const digest = digestOf(content);
    await pushBlob(address, REPOSITORY, content, digest);
    const path = `/v2/${REPOSITORY}/blobs/${digest}`;
    const whole = await get(address, path);
    expect(whole).toMatchObject({ status: 200, body: content });
    expect(whole.headers).toMatchObject({
      'content-length': '10',
      'docker-content-digest': digest,
      'accept-ranges': 'bytes',
      etag: `"${digest}"`,
    });
    expect(await send(address, 'HEAD', path)).toMatchObject({
      status: 200,
      body: '',
      headers: { etag: `"${digest}"` },
    });
    expect(await get(address, path, { range: 'bytes=2-4' })).toMatchObject({
      status: 206,
      body: '234',
      headers: { 'content-range': 'bytes 2-4/10', 'content-length': '3' },
    });
    expect(await get(address, path, { range: 'bytes=8-99' })).toMatchObject({ status: 206, body: '89' });
    expect(await get(address, path, { range: 'bytes=-3' })).toMatchObject({ status: 206, body: '789' });
    expect(await get(address, path, { range: 'bytes=10-' })).toMatchObject({
      status: 416,
      headers: { 'content-range': 'bytes */10' },
    });
    expect(await get(address, path, { range: 'bytes=5-2' })).toMatchObject({ status: 416 });
    // Range means something for GET alone; several ranges, and what is none, mean the whole.
    expect(await send(address, 'HEAD', path, { range: 'bytes=2-4' })).toMatchObject({ status: 200 });
    expect(await get(address, path, { range: 'bytes=0-1,3-4' })).toMatchObject({ status: 200, body: content });
    expect(await get(address, path, { range: 'pages=1-2' })).toMatchObject({ status: 200, body: content });
    for (const known of [`"${digest}"`, `W/"${digest}"`, '*', `"other", "${digest}"`]) {
      const answer = await get(address, path, { 'if-none-match': known });
      expect(answer).toMatchObject({ status: 304, body: '' });
      expect(answer.headers['content-length']).toBeUndefined();
    }
    expect(await get(address, path, { 'if-none-match': '"other"' })).toMatchObject({ status: 200 });
    const resumed = { range: 'bytes=2-4', 'if-range': `"${digest}"` };
    expect(await get(address, path, resumed)).toMatchObject({ status: 206 });
    expect(await get(address, path, { ...resumed, 'if-range': '"other"' })).toMatchObject({ status: 200 });
  });

  test('a blob without content', async () => {
    const { address } = await testServer();
    const digest = digestOf('');
    expect(await pushBlob(address, REPOSITORY, '', digest)).toMatchObject({ status: 201 });
    const path = `/v2/${REPOSITORY}/blobs/${digest}`;
    expect(await get(address, path)).toMatchObject({ status: 200, body: '', headers: { 'content-length': '0' } });
    expect(await get(address, path, { range: 'bytes=0-' })).toMatchObject({ status: 416 });
  });

  test('a manifest by tag and by digest, as it was pushed, whatever is accepted', async () => {
    const { address } = await testServer();
    const { bytes, digest } = await pushImage(address, 'v1');
    for (const reference of ['v1', digest]) {
      for (const accept of [undefined, '*/*', MEDIA.index, MEDIA.dockerManifest, 'text/html']) {
        for (const method of ['GET', 'HEAD']) {
          const path = `/v2/${REPOSITORY}/manifests/${reference}`;
          const answer = await send(address, method, path, accept === undefined ? {} : { accept });
          expect(answer).toMatchObject({ status: 200, body: method === 'GET' ? bytes : '' });
          expect(answer.headers).toMatchObject({
            'content-type': MEDIA.manifest,
            'content-length': String(bytes.length),
            'docker-content-digest': digest,
          });
        }
      }
    }
    const known = { 'if-none-match': `"${digest}"` };
    expect(await get(address, `/v2/${REPOSITORY}/manifests/v1`, known)).toMatchObject({ status: 304, body: '' });
  });

  test('errors are the specification`s JSON', async () => {
    const { address } = await testServer();
    const answer = await get(address, `/v2/${REPOSITORY}/manifests/x`);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body)).toEqual({
      errors: [{ code: 'MANIFEST_UNKNOWN', message: expect.stringContaining('x') }],
    });
  });
});

describe('push', () => {
  test('a blob in pieces (streamed): POST, PATCH, PUT', async () => {
    const { address } = await testServer();
    const begun = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`);
    expect(begun).toMatchObject({ status: 202, headers: { location: expect.stringMatching(/^\/v2\//) } });
    const patched = await send(address, 'PATCH', String(begun.headers.location), OCTETS, 'some content');
    expect(patched).toMatchObject({ status: 202, headers: { range: '0-11' } });
    const digest = digestOf('some content');
    const put = await send(address, 'PUT', `${patched.headers.location}?digest=${digest}`);
    expect(put).toMatchObject({
      status: 201,
      headers: { location: `/v2/${REPOSITORY}/blobs/${digest}`, 'docker-content-digest': digest },
    });
    expect(await get(address, String(put.headers.location))).toMatchObject({ status: 200, body: 'some content' });
  });

  test('a blob in one request: POST with its digest, or POST and PUT', async () => {
    const { address } = await testServer();
    const digest = digestOf('posted');
    const posted = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?digest=${digest}`, OCTETS, 'posted');
    expect(posted).toMatchObject({ status: 201, headers: { location: `/v2/${REPOSITORY}/blobs/${digest}` } });
    expect(await pushBlob(address, REPOSITORY, 'put', digestOf('put'))).toMatchObject({ status: 201 });
    const wrong = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?digest=${digest}`, OCTETS, 'other');
    expect([wrong.status, codeOf(wrong)]).toEqual([400, 'DIGEST_INVALID']);
    const none = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?digest=nonsense`, OCTETS, 'other');
    expect([none.status, codeOf(none)]).toEqual([400, 'DIGEST_INVALID']);
  });

  test('pieces in order only; the state is told; the last piece may come with PUT', async () => {
    const { address } = await testServer();
    const begun = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`);
    let location = String(begun.headers.location);
    const piece = (range: string, text: string) =>
      send(address, 'PATCH', location, { ...OCTETS, 'content-range': range }, text);
    // the second piece first
    expect(await piece('3-5', 'def')).toMatchObject({ status: 416 });
    const first = await piece('0-2', 'abc');
    expect(first).toMatchObject({ status: 202, headers: { range: '0-2' } });
    location = String(first.headers.location);
    const again = await piece('0-2', 'abc');
    expect(again).toMatchObject({ status: 416, headers: { range: '0-2', location } });
    expect(codeOf(again)).toBe('BLOB_UPLOAD_INVALID');
    expect(await send(address, 'GET', location)).toMatchObject({ status: 204, headers: { range: '0-2', location } });
    expect(await piece('3-9', 'def')).toMatchObject({ status: 416, headers: { range: '0-5' } }); // shorter than it says
    expect(await piece('6-6', 'ghi')).toMatchObject({ status: 400 }); // longer
    expect(await piece('nonsense', 'x')).toMatchObject({ status: 400 });
    const digest = digestOf('abcdefghi');
    const last = { ...OCTETS, 'content-range': '6-8' };
    expect(await send(address, 'PUT', `${location}?digest=${digest}`, last, 'ghi')).toMatchObject({ status: 201 });
    expect(await get(address, `/v2/${REPOSITORY}/blobs/${digest}`)).toMatchObject({ body: 'abcdefghi' });
  });

  test('an upload is cancelled, and unknown ones are said to be', async () => {
    const { address } = await testServer();
    const { headers } = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`);
    const location = String(headers.location);
    expect(await send(address, 'DELETE', location)).toMatchObject({ status: 204 });
    for (const method of ['GET', 'PATCH', 'DELETE', 'PUT']) {
      const body = method === 'PATCH' || method === 'PUT' ? 'x' : '';
      const answer = await send(address, method, `${location}?digest=${digestOf('x')}`, OCTETS, body);
      expect([method, answer.status]).toEqual([method, 404]);
      expect(codeOf(answer)).toBe('BLOB_UPLOAD_UNKNOWN');
    }
    // of another repository
    const other = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/`);
    const elsewhere = String(other.headers.location).replace(REPOSITORY, 'somebody/else');
    expect(await send(address, 'PATCH', elsewhere, OCTETS, 'x')).toMatchObject({ status: 404 });
  });

  test('a mount from another repository, or an upload when there is nothing to mount', async () => {
    const { address } = await testServer();
    const digest = digestOf('mounted');
    await pushBlob(address, 'other/repo', 'mounted', digest);
    for (const from of ['&from=other/repo', '']) {
      const mounted = await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?mount=${digest}${from}`);
      expect(mounted).toMatchObject({ status: 201, headers: { location: `/v2/${REPOSITORY}/blobs/${digest}` } });
    }
    const absent = `mount=${digestOf('absent')}&from=other/repo`;
    expect(await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?${absent}`)).toMatchObject({
      status: 202,
      headers: { location: expect.stringContaining('/blobs/uploads/') },
    });
  });

  test('manifests: by tag and by digest, with what they name', async () => {
    const { address } = await testServer();
    const { bytes, digest, put } = await pushImage(address, 'v1');
    expect(put.headers).toMatchObject({
      location: `/v2/${REPOSITORY}/manifests/${digest}`,
      'docker-content-digest': digest,
    });
    expect(await putManifest(address, digest, bytes)).toMatchObject({ status: 201 });
    const other = await putManifest(address, digestOf('other'), bytes);
    expect([other.status, codeOf(other)]).toEqual([400, 'DIGEST_INVALID']);
    for (const [text, type] of [
      ['{}', MEDIA.manifest],
      ['not JSON', MEDIA.manifest],
      [bytes, MEDIA.index],
      [bytes, 'application/vnd.docker.distribution.manifest.v1+json'],
    ] as const) {
      const answer = await putManifest(address, 'bad', text, type);
      expect([answer.status, codeOf(answer)]).toEqual([400, 'MANIFEST_INVALID']);
    }
    const missing = bytes.replace(/sha256:[0-9a-f]{64}/, digestOf('absent'));
    const answer = await putManifest(address, 'bad', missing);
    expect([answer.status, codeOf(answer)]).toEqual([404, 'MANIFEST_BLOB_UNKNOWN']);
    const sized = await putManifest(address, 'bad', bytes.replace(/"size":\d+/, '"size":1'));
    expect([sized.status, codeOf(sized)]).toEqual([400, 'SIZE_INVALID']);
    expect(await get(address, `/v2/${REPOSITORY}/manifests/bad`)).toMatchObject({ status: 404 });
    for (const reference of ['.bad', 'x'.repeat(129), 'sha256:short']) {
      const named = await putManifest(address, reference, bytes);
      expect([named.status, codeOf(named)]).toEqual([400, 'MANIFEST_INVALID']);
    }
    const bare = JSON.stringify({ ...JSON.parse(bytes), layers: [] });
    expect(await putManifest(address, 'bare', bare)).toMatchObject({ status: 201 });
  });

  test('documents of all kinds come back as they were', async () => {
    const { address } = await testServer();
    const { bytes, digest } = await pushImage(address, 'v1');
    const image = JSON.parse(bytes);
    const index = (manifests: readonly object[], extra = {}) => ({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests,
      ...extra,
    });
    const entry = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length });
    const inner = JSON.stringify(
      index([{ ...entry(bytes, MEDIA.manifest), platform: { os: 'linux', architecture: 'arm64' } }]),
    );
    const foreign = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      digest: digestOf('elsewhere'),
      size: 9,
      urls: ['https://store.example/blob'],
    };
    const layer = Buffer.from('data field');
    await pushBlob(address, REPOSITORY, layer, digestOf(layer));
    const data = {
      mediaType: MEDIA.layerGzip,
      digest: digestOf(layer),
      size: layer.byteLength,
      data: layer.toString('base64'),
    };
    const large = Object.fromEntries(
      Array.from({ length: 390 }, (_, number) => [`annotation-${number}`, 'A'.repeat(10_000)]),
    );
    for (const [tag, document] of Object.entries({
      inner: JSON.parse(inner),
      nested: index([entry(inner, MEDIA.index)]),
      empty: index([]),
      custom: index([entry(bytes, MEDIA.manifest)], { 'org.example.unknown': { deep: [1, null] } }),
      artifacts: index([], { artifactType: 'text/list', annotations: { made: 'here' } }),
      foreign: { ...image, layers: [...image.layers, foreign] },
      data: { ...image, layers: [data] },
      large: { ...image, annotations: large },
    })) {
      const text = JSON.stringify(document);
      const put = await putManifest(address, tag, text, document.mediaType);
      expect([tag, put.status, put.body]).toEqual([tag, 201, '']);
      const path = `/v2/${REPOSITORY}/manifests/${digestOf(text)}`;
      expect(await get(address, path)).toMatchObject({ status: 200, body: text });
    }
    expect(await get(address, `/v2/${REPOSITORY}/manifests/${digest}`)).toMatchObject({ body: bytes });
  });

  test('sha512: blobs and manifests', async () => {
    const server = await testServer();
    const { address } = server;
    const sha512 = (text: string | Buffer): string => `sha512:${createHash('sha512').update(text).digest('hex')}`;
    const [config, layer] = [Buffer.from('{"architecture":"amd64","os":"linux"}'), Buffer.from('layer')];
    for (const blob of [config, layer])
      expect(await pushBlob(address, REPOSITORY, blob, sha512(blob))).toMatchObject({ status: 201 });
    expect(await pushBlob(address, REPOSITORY, 'x', sha512('y'))).toMatchObject({ status: 400 });
    expect(await get(address, `/v2/${REPOSITORY}/blobs/${sha512(layer)}`)).toMatchObject({ body: 'layer' });
    const bytes = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, digest: sha512(config), size: config.byteLength },
      layers: [{ mediaType: MEDIA.layerGzip, digest: sha512(layer), size: layer.byteLength }],
    });
    const put = await putManifest(address, sha512(bytes), bytes);
    expect(put).toMatchObject({ status: 201, headers: { 'docker-content-digest': sha512(bytes) } });
    expect(await get(address, `/v2/${REPOSITORY}/manifests/${sha512(bytes)}`)).toMatchObject({ body: bytes });
  });
});

describe('content discovery', () => {
  test('tags: in order, in pages, from a name on', async () => {
    const { address } = await testServer();
    const { bytes } = await pushImage(address, 'test0');
    for (const tag of ['test2', 'test1', 'TEST', 'test10', '0']) await putManifest(address, tag, bytes);
    const all = ['0', 'TEST', 'test0', 'test1', 'test10', 'test2'];
    const list = async (query: string) => {
      const answer = await get(address, `/v2/${REPOSITORY}/tags/list${query}`);
      expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
      const { name, tags } = JSON.parse(answer.body);
      expect(name).toBe(REPOSITORY);
      return { tags, link: answer.headers.link };
    };
    expect(await list('')).toEqual({ tags: all, link: undefined });
    expect(await list('?n=4')).toEqual({
      tags: all.slice(0, 4),
      link: `</v2/${REPOSITORY}/tags/list?n=4&last=test1>; rel="next"`,
    });
    expect(await list('?n=4&last=test1')).toEqual({ tags: all.slice(4), link: undefined });
    expect(await list('?n=6')).toEqual({ tags: all, link: undefined });
    expect(await list('?n=0')).toEqual({ tags: [], link: undefined });
    expect(await list('?last=test10')).toEqual({ tags: ['test2'], link: undefined });
    expect(await list('?last=not-there')).toEqual({ tags: all.slice(2), link: undefined });
    expect(await get(address, `/v2/${REPOSITORY}/tags/list?n=-1`)).toMatchObject({ status: 400 });
    expect(await get(address, `/v2/${REPOSITORY}/tags/list?n=x`)).toMatchObject({ status: 400 });
  });

  test('referrers: of images, of what is not there, by type; of manifests in an index too', async () => {
    const { address } = await testServer();
    const { digest, bytes } = await pushImage(address, 'v1');
    const subject = { mediaType: MEDIA.manifest, digest, size: bytes.length };
    await pushBlob(address, REPOSITORY, EMPTY, digestOf(EMPTY));
    const empty = { mediaType: MEDIA.empty, digest: digestOf(EMPTY), size: 2 };
    const artifact = (fields: object): string =>
      JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        config: empty,
        layers: [empty],
        subject,
        ...fields,
      });
    const sbom = artifact({ artifactType: 'text/sbom', annotations: { made: 'here' } });
    const typed = artifact({ config: { ...empty, mediaType: 'text/signature' } });
    for (const each of [sbom, typed]) {
      const put = await putManifest(address, digestOf(each), each);
      expect(put).toMatchObject({ status: 201, headers: { 'oci-subject': digest } });
    }
    const list = async (query = '', of: string = digest) => {
      const answer = await get(address, `/v2/${REPOSITORY}/referrers/${of}${query}`);
      expect(answer).toMatchObject({ status: 200, headers: { 'content-type': MEDIA.index } });
      const { manifests, ...index } = JSON.parse(answer.body);
      expect(index).toEqual({ schemaVersion: 2, mediaType: MEDIA.index });
      return { manifests, applied: answer.headers['oci-filters-applied'] };
    };
    const entry = (text: string, fields: object) => ({
      mediaType: MEDIA.manifest,
      digest: digestOf(text),
      size: text.length,
      ...fields,
    });
    const entries = [
      entry(sbom, { artifactType: 'text/sbom', annotations: { made: 'here' } }),
      entry(typed, { artifactType: 'text/signature' }),
    ];
    const found = await list();
    expect(found.manifests).toHaveLength(2);
    expect(found.manifests).toEqual(expect.arrayContaining(entries));
    expect(await list('?artifactType=text/sbom')).toEqual({ manifests: [entries[0]], applied: 'artifactType' });
    expect(await list('?artifactType=text%2Fother')).toEqual({ manifests: [], applied: 'artifactType' });
    expect(await list('', digestOf('absent'))).toEqual({ manifests: [], applied: undefined });
    expect(await get(address, `/v2/${REPOSITORY}/referrers/nonsense`)).toMatchObject({ status: 400 });

    // an index takes the name of its manifests away: they are found all the same
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [sbom, typed].map((text) => ({
        mediaType: MEDIA.manifest,
        digest: digestOf(text),
        size: text.length,
      })),
    });
    expect(await putManifest(address, 'artifacts', index, MEDIA.index)).toMatchObject({ status: 201 });
    expect((await list()).manifests).toHaveLength(2);

    // its subject may come later
    const early = artifact({ subject: { ...subject, digest: digestOf('later') }, artifactType: 'text/early' });
    expect(await putManifest(address, 'early', early)).toMatchObject({
      status: 201,
      headers: { 'oci-subject': digestOf('later') },
    });
    expect((await list('', digestOf('later'))).manifests).toHaveLength(1);
  });

  test('the catalog, in pages', async () => {
    const { address } = await testServer();
    await pushImage(address, 'v1');
    expect(await get(address, '/v2/_catalog?n=1')).toMatchObject({
      status: 200,
      body: JSON.stringify({ repositories: [REPOSITORY] }),
    });
    expect(await get(address, '/v2/')).toMatchObject({
      status: 200,
      headers: { 'docker-distribution-api-version': 'registry/2.0' },
    });
  });
});

describe('content management', () => {
  test('a tag goes alone; its manifest stays under its digest', async () => {
    const { address } = await testServer();
    const { digest, bytes } = await pushImage(address, 'v1');
    await putManifest(address, 'v2', bytes);
    expect(await send(address, 'DELETE', `/v2/${REPOSITORY}/manifests/v1`)).toMatchObject({ status: 202 });
    expect(await get(address, `/v2/${REPOSITORY}/manifests/v1`)).toMatchObject({ status: 404 });
    expect(await get(address, `/v2/${REPOSITORY}/manifests/v2`)).toMatchObject({ status: 200 });
    expect(await get(address, `/v2/${REPOSITORY}/manifests/${digest}`)).toMatchObject({ status: 200 });
    const again = await send(address, 'DELETE', `/v2/${REPOSITORY}/manifests/v1`);
    expect([again.status, codeOf(again)]).toEqual([404, 'MANIFEST_UNKNOWN']);
  });

  test('a manifest goes with all its tags, until it is pushed again', async () => {
    const { address } = await testServer();
    const { digest, bytes } = await pushImage(address, 'v1');
    const other = await pushImage(address, 'other');
    await putManifest(address, 'v2', bytes);
    const path = `/v2/${REPOSITORY}/manifests/${digest}`;
    expect(await send(address, 'DELETE', path)).toMatchObject({ status: 202 });
    for (const reference of [digest, 'v1', 'v2'])
      expect(await get(address, `/v2/${REPOSITORY}/manifests/${reference}`)).toMatchObject({ status: 404 });
    expect(await send(address, 'DELETE', path)).toMatchObject({ status: 404 });
    expect(await get(address, `/v2/${REPOSITORY}/tags/list`)).toMatchObject({
      body: JSON.stringify({ name: REPOSITORY, tags: ['other'] }),
    });
    expect(await get(address, `/v2/${REPOSITORY}/manifests/${other.digest}`)).toMatchObject({ status: 200 });
    expect(await putManifest(address, 'v3', bytes)).toMatchObject({ status: 201 });
    expect(await get(address, path)).toMatchObject({ status: 200 });
  });

  test('a deletion at the moment of a push takes nothing away from what was pushed', async () => {
    const { address } = await testServer();
    const { bytes, layer } = await pushImage(address, 'v0');
    await send(address, 'DELETE', `/v2/${REPOSITORY}/manifests/v0`);
    const statuses = new Set<string>();
    for (let round = 0; round < 60; round++) {
      await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?mount=${layer}&from=other`);
      const deletion = async () => {
        await new Promise((resolve) => setTimeout(resolve, round % 12));
        return send(address, 'DELETE', `/v2/${REPOSITORY}/blobs/${layer}`);
      };
      const [put, deleted] = await Promise.all([putManifest(address, 'race', bytes), deletion()]);
      statuses.add(`${put.status} ${deleted.status}`);
      const found = await get(address, `/v2/${REPOSITORY}/blobs/${layer}`);
      if (put.status === 201) expect(found.status, `${put.status} ${deleted.status}`).toBe(200);
      await send(address, 'DELETE', `/v2/${REPOSITORY}/manifests/race`);
    }
    expect(
      [...statuses].every((pair) => /^(?:201|404) (?:202|405)$/.test(pair)),
      [...statuses].join(),
    ).toBe(true);
  });

  test('what an image needs cannot be deleted; what none needs can', async () => {
    const { address } = await testServer();
    const { digest, bytes, layer } = await pushImage(address, 'v1');
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [{ mediaType: MEDIA.manifest, digest, size: bytes.length }],
    });
    await putManifest(address, 'multi', index, MEDIA.index);
    for (const path of [`blobs/${layer}`, `manifests/${digest}`]) {
      const answer = await send(address, 'DELETE', `/v2/${REPOSITORY}/${path}`);
      expect([answer.status, codeOf(answer)]).toEqual([405, 'UNSUPPORTED']);
      expect(answer.body).toContain(`${REPOSITORY}:`);
      expect(await get(address, `/v2/${REPOSITORY}/${path}`)).toMatchObject({ status: 200 });
    }
    for (const reference of ['multi', 'v1']) await send(address, 'DELETE', `/v2/${REPOSITORY}/manifests/${reference}`);
    for (const path of [`manifests/${digest}`, `blobs/${layer}`]) {
      expect(await send(address, 'DELETE', `/v2/${REPOSITORY}/${path}`)).toMatchObject({ status: 202 });
      for (const method of ['GET', 'HEAD', 'DELETE'])
        expect(await send(address, method, `/v2/${REPOSITORY}/${path}`)).toMatchObject({ status: 404 });
    }
    // a deleted blob does not count for a manifest; pushed or mounted it does again
    const answer = await putManifest(address, 'v1', bytes);
    expect([answer.status, codeOf(answer)]).toEqual([404, 'MANIFEST_BLOB_UNKNOWN']);
    expect(await send(address, 'POST', `/v2/${REPOSITORY}/blobs/uploads/?mount=${layer}&from=other`)).toMatchObject({
      status: 201,
    });
    expect(await putManifest(address, 'v1', bytes)).toMatchObject({ status: 201 });
  });

  test('on a read-only server nothing is', async () => {
    const first = await testServer();
    const { digest, bytes, layer } = await pushImage(first.address, 'v1');
    const { address } = await testServer({ store: first.store, readOnly: true });
    for (const [method, path] of [
      ['DELETE', `manifests/${digest}`],
      ['DELETE', 'manifests/v1'],
      ['DELETE', `blobs/${layer}`],
      ['POST', 'blobs/uploads/'],
      ['PUT', 'manifests/v2'],
    ] as const) {
      const answer = await send(address, method, `/v2/${REPOSITORY}/${path}`, {}, bytes);
      expect([method, path, answer.status, codeOf(answer)]).toEqual([method, path, 405, 'UNSUPPORTED']);
    }
    expect(await get(address, `/v2/${REPOSITORY}/manifests/v1`)).toMatchObject({ status: 200 });
    expect(await send(address, 'HEAD', `/v2/${REPOSITORY}/blobs/${layer}`)).toMatchObject({ status: 200 });
  });

  test('methods that are not there are 405 with what is', async () => {
    const { address } = await testServer();
    for (const [method, path, allow] of [
      ['POST', '/v2/', 'GET'],
      ['PUT', `/v2/${REPOSITORY}/tags/list`, 'GET'],
      ['DELETE', `/v2/${REPOSITORY}/referrers/${digestOf('x')}`, 'GET'],
      ['POST', `/v2/${REPOSITORY}/manifests/v1`, 'GET, HEAD, PUT, DELETE'],
      ['PUT', `/v2/${REPOSITORY}/blobs/${digestOf('x')}`, 'GET, HEAD, DELETE'],
      ['GET', `/v2/${REPOSITORY}/blobs/uploads/`, 'POST'],
      ['POST', `/v2/${REPOSITORY}/blobs/uploads/some-id`, 'GET, PATCH, PUT, DELETE'],
    ] as const)
      expect(await send(address, method, path)).toMatchObject({ status: 405, headers: { allow } });
  });
});
