import { describe, expect, it } from 'vitest';
import { digestOf, parseDigest } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { MANIFEST_LIMIT, parseImageConfig, parseImageDocument } from '../../../src/image/oci.js';

const descriptor = (mediaType: string) => ({ mediaType, digest: digestOf('x'), size: 1 });
const manifest = {
  schemaVersion: 2,
  mediaType: MEDIA.manifest,
  config: descriptor(MEDIA.config),
  layers: [descriptor(MEDIA.layerGzip)],
};
const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [descriptor(MEDIA.manifest)] };
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('parseImageDocument', () => {
  it('tells manifests and indexes apart, by their own media type or the one they came with', () => {
    expect(parseImageDocument(bytes(manifest), undefined, 'x').kind).toBe('manifest');
    expect(parseImageDocument(bytes(index), MEDIA.index, 'x').kind).toBe('index');
    const { mediaType: _, ...untyped } = index;
    expect(parseImageDocument(bytes(untyped), MEDIA.dockerIndex, 'x')).toMatchObject({
      kind: 'index',
      mediaType: MEDIA.dockerIndex,
    });
    expect(parseImageDocument(bytes(untyped), 'application/json', 'x').kind).toBe('index');
    // for two platforms
    const twice = { ...index, manifests: [...index.manifests, ...index.manifests] };
    expect(parseImageDocument(bytes(twice), MEDIA.index, 'x').kind).toBe('index');
  });

  it.each([
    ['the fields of both (CVE-2021-41190)', { ...manifest, manifests: [] }, MEDIA.manifest, 'fields of both'],
    ['a media type that contradicts (CVE-2021-41190)', manifest, MEDIA.index, 'was described as'],
    ['docker schema 1', { schemaVersion: 1, fsLayers: [] }, undefined, 'schema 1'],
    [
      'a digest that is a path (CVE-2024-3727)',
      { ...manifest, config: { ...manifest.config, digest: 'sha256:../../etc/passwd' } },
      undefined,
      'config.digest',
    ],
    ['a negative size', { ...manifest, layers: [{ ...manifest.layers[0], size: -1 }] }, undefined, 'layers.0.size'],
    [
      'one thing under two media types',
      { ...index, manifests: [descriptor('application/octet-stream'), descriptor(MEDIA.manifest)] },
      MEDIA.index,
      `as application/octet-stream and as ${MEDIA.manifest}`,
    ],
    ['a list', [], undefined, 'not a JSON object'],
    ['a foreign media type', { ...manifest, mediaType: 'text/html' }, undefined, 'neither a manifest nor an index'],
  ])('refuses %s', (_what, value, mediaType, message) => {
    expect(() => parseImageDocument(bytes(value), mediaType, 'r/x:v1')).toThrowError(
      expect.objectContaining({ code: 'E_INVALID_MANIFEST', message: expect.stringContaining(message) }),
    );
  });

  it('refuses what is not JSON, and more than 4 MiB', () => {
    expect(() => parseImageDocument(Buffer.from('<html>'), undefined, 'x')).toThrowError(/not valid JSON/);
    expect(() => parseImageDocument(Buffer.alloc(MANIFEST_LIMIT + 1, 0x20), undefined, 'x')).toThrowError(
      /the limit is/,
    );
  });
});

it('parseImageConfig reads the nulls that docker writes', () => {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    author: null,
    config: { Env: null, Labels: null, Cmd: ['a'] },
    rootfs: { type: 'layers', diff_ids: [] },
    history: null,
  };
  expect(parseImageConfig(bytes(config), 'x')).toMatchObject({ architecture: 'amd64', config: { Cmd: ['a'] } });
});

it.each([
  'sha256:abc',
  `SHA256:${'a'.repeat(64)}`,
  `sha256:${'A'.repeat(64)}`,
  `sha256:${'a'.repeat(64)}/..`,
  `md5:${'a'.repeat(32)}`,
])('%s is no digest', (text) => {
  expect(() => parseDigest(text)).toThrowError(expect.objectContaining({ code: 'E_INVALID_DIGEST' }));
});
