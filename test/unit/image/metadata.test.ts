import { describe, expect, it } from 'vitest';
import { readClusterImage, writeClusterImage } from '../../../src/image/cluster-image.js';
import { digestOf } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { clusterRuntimeOf, completeMetadata, parseMetadata } from '../../../src/image/metadata.js';
import { parsePlatform, samePlatform } from '../../../src/image/platform.js';

const amd64 = parsePlatform('linux/amd64');

describe('Metadata', () => {
  it('is read as sealer writes it; unknown fields stay', () => {
    const metadata = parseMetadata(
      '{"version":"v1.19.8","arch":"amd64","NydusFlag":false,"extra":{"a":1}}',
      'Metadata',
    );
    expect(metadata).toEqual({ version: 'v1.19.8', arch: 'amd64', NydusFlag: false, extra: { a: 1 } });
    expect(clusterRuntimeOf(metadata)).toBe('k8s');
  });

  it.each([
    ['{', 'not valid JSON'],
    ['{"ClusterRuntime":"rke2"}', 'ClusterRuntime'],
    ['{"version":"1.x"}', 'not a semantic version'],
    ['{"kubeVersion":"newest"}', 'not a semver range'],
    ['{"version":5}', 'version'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => parseMetadata(text, 'Metadata')).toThrowError(
      expect.objectContaining({ code: 'E_INVALID_METADATA', message: expect.stringContaining(message) }),
    );
  });

  it('is completed for the platform, and refused when it is for another', () => {
    expect(completeMetadata({ version: 'v1.20.2' }, amd64, 'Metadata')).toEqual({
      version: 'v1.20.2',
      arch: 'amd64',
      ClusterRuntime: 'k8s',
    });
    expect(() => completeMetadata({ arch: 'arm64' }, amd64, 'Metadata')).toThrowError(/built for amd64/);
  });
});

describe('ClusterImage annotations', () => {
  const manifest = (annotations: Record<string, string>) => ({
    schemaVersion: 2 as const,
    config: { mediaType: MEDIA.config, digest: digestOf(''), size: 0 },
    layers: [],
    annotations,
  });

  it('survive writing and reading', () => {
    const info = {
      extension: {
        schemaVersion: 'v1alpha1',
        type: 'kube-installer',
        applications: [{ name: 'a', type: 'kube' }],
        labels: { a: 'b' },
        env: {},
        launch: { cmds: ['kubectl apply -f x'], app_names: [] },
      },
      containerImages: [{ image: 'k8s.gcr.io/pause:3.2' }],
    };
    expect(readClusterImage(manifest(writeClusterImage(info)), 'x')).toEqual(info);
  });

  it("read Go's nulls, and nothing from an ordinary image", () => {
    const text =
      '{"schemaVersion":"v1alpha1","type":"app-installer","applications":null,"labels":null,"env":null,"launch":{"cmds":null,"app_names":null}}';
    expect(
      readClusterImage(manifest({ 'sealer.image.extension': text, 'sealer.image.container.images': 'null' }), 'x'),
    ).toMatchObject({
      extension: { type: 'app-installer', applications: [], launch: { cmds: [] } },
      containerImages: [],
    });
    expect(readClusterImage(manifest({}), 'x')).toBeUndefined();
  });
});

describe('platforms', () => {
  it.each([
    ['amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['LINUX/armhf', 'linux/arm/v7'],
  ])('%s is %s', (a, b) => {
    expect(samePlatform(parsePlatform(a), parsePlatform(b))).toBe(true);
  });

  it.each(['', 'a/b/c/d', 'linux/', 'linux/am d64'])('%j is none', (text) => {
    expect(() => parsePlatform(text)).toThrowError(expect.objectContaining({ code: 'E_INVALID_PLATFORM' }));
  });
});
