import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import type { Descriptor } from '../../../src/image/oci.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { Repository } from '../../../src/registry/client.js';
import { pullImage } from '../../../src/registry/pull.js';
import { pushImage } from '../../../src/registry/push.js';
import { readImage } from '../../../src/store/local-image.js';
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.js';
import { faultProxy } from './support/fault-proxy.js';
import { putDocument, putImage, putIndex, tagSmallImage, tempStore } from './support/images.js';
import { must, tempDir } from './support/programs.js';
import { RecordingReporter } from './support/reporter.js';

let registry: DockerRegistry;
beforeAll(async () => {
  registry = await startDockerRegistry();
});
afterAll(() => registry.close());

async function freshStore() {
  const made = await tempStore();
  onTestFinished(() => made.close());
  return made.store;
}

async function freshDir() {
  const dir = await tempDir('test');
  onTestFinished(() => dir.remove());
  return dir.path;
}

describe('a registry of docker', () => {
  test('what a broken pull has brought is not told as downloaded again', async () => {
    const [here, there] = [await freshStore(), await freshStore()];
    const name = `${registry.address}/resumed:v1`;
    await tagSmallImage(here, name, { layers: [{ big: randomBytes(1_000_000) }] });
    const pushed = await pushImage(here, name);
    let works = false;
    const proxy = await faultProxy(registry.address, ({ method, path, headers }) => {
      if (works || method !== 'GET' || !path.includes('/blobs/')) return undefined;
      return headers.range === undefined ? { cutAnswerAfter: 400_000 } : { respond: { status: 404 } };
    });
    const from = `${proxy.address}/resumed:v1`;
    await expect(pullImage(there, from, { retryDelay: 1 })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    works = true;
    const { copied, resumed, reused } = await pullImage(there, from);
    expect(resumed).toBeGreaterThan(0);
    expect(copied + resumed + reused).toBe(pushed.copied);
    expect(await pullImage(there, from)).toMatchObject({ copied: 0, resumed: 0, reused: pushed.copied });
  });

  test('what is pushed comes back the same, and nothing travels twice', async () => {
    const [here, there] = [await freshStore(), await freshStore()];
    const name = `${registry.address}/round/trip:v1`;
    const descriptor = await tagSmallImage(here, name, { layers: [{ a: randomBytes(100_000) }, { b: 'two' }] });

    const pushed = await pushImage(here, name);
    expect(pushed).toMatchObject({ name, descriptor });
    expect(pushed.copied).toBeGreaterThan(100_000);
    expect((await pushImage(here, name)).copied).toBe(0);

    const pulled = await pullImage(there, name);
    expect(pulled).toMatchObject({ name, descriptor, from: `${registry.address}/round/trip` });
    expect((await readImage(there, name)).config.config?.Labels).toEqual({ made: 'for a test' });
    expect((await pullImage(there, name)).copied).toBe(0);
    expect(await readdir(join(there.root, 'tmp'))).toHaveLength(1); // this process's own corner, and
    const [corner = ''] = await readdir(join(there.root, 'tmp'));
    expect(await readdir(join(there.root, 'tmp', corner))).toEqual(['lock']); // nothing unfinished in it
  });

  test('skopeo reads what we push, and we read what skopeo pushes', async () => {
    const [store, dir] = [await freshStore(), await freshDir()];
    const descriptor = await tagSmallImage(store, 'x:latest');
    await pushImage(store, 'x', { to: `${registry.address}/x:one` });
    await must('skopeo', [
      'copy',
      '--src-tls-verify=false',
      `docker://${registry.address}/x:one`,
      `oci:${dir}/layout:x`,
    ]);
    await must('skopeo', [
      'copy',
      '--dest-tls-verify=false',
      '--format',
      'v2s2',
      `oci:${dir}/layout:x`,
      `docker://${registry.address}/x:two`,
    ]);

    const pulled = await pullImage(store, `${registry.address}/x:two`);
    expect(pulled.descriptor.mediaType).toBe(MEDIA.dockerManifest);
    const [one, two] = [await readImage(store, 'x'), await readImage(store, `${registry.address}/x:two`)];
    expect(two.config.rootfs.diff_ids).toEqual(one.config.rootfs.diff_ids);
    expect(one.descriptor.digest).toBe(descriptor.digest);
  });

  test('of an index the wanted platform is pulled, or everything', async () => {
    const [here, one, all] = [await freshStore(), await freshStore(), await freshStore()];
    const [amd, arm] = [parsePlatform('amd64'), parsePlatform('arm64')];
    const images = [
      [amd, await putImage(here, { layers: [{ f: 'amd' }], platform: amd })],
      [arm, await putImage(here, { layers: [{ f: 'arm' }], platform: arm })],
    ] as const;
    const name = `${registry.address}/multi:v1`;
    const index = await putIndex(here, images);
    await here.tag(name, index);
    await pushImage(here, name);

    const pulled = await pullImage(one, name, { platform: arm });
    expect(pulled.descriptor.digest).toBe(images[1][1].digest);
    expect((await readImage(one, name, arm)).platform).toEqual(arm);
    expect(await one.blobSize(images[0][1].digest)).toBeUndefined();
    await expect(pullImage(one, name, { platform: parsePlatform('s390x') })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: 'choose one with --platform: linux/amd64, linux/arm64',
    });

    expect((await pullImage(all, name, { all: true })).descriptor).toEqual(index);
    expect((await readImage(all, name, amd)).platform).toEqual(amd);
    expect((await readImage(all, name, arm)).platform).toEqual(arm);
  });

  test('a blob that another repository has is mounted, not sent', async () => {
    const store = await freshStore();
    await tagSmallImage(store, 'm:latest', { layers: [{ big: randomBytes(50_000) }] });
    await pushImage(store, 'm', { to: `${registry.address}/mount/first` });
    const reporter = new RecordingReporter();
    const again = await pushImage(store, 'm', { to: `${registry.address}/mount/second`, reporter });
    expect(again.copied).toBe(0);
    expect(reporter.tasks.map(({ note }) => note)).toEqual(['mounted', 'mounted']);
  });

  test('a big blob goes in pieces', async () => {
    const [here, there] = [await freshStore(), await freshStore()];
    const name = `${registry.address}/pieces:v1`;
    const { digest } = await tagSmallImage(here, name, { layers: [{ big: randomBytes(3_000_000) }] });
    const reporter = new RecordingReporter();
    const pushed = await pushImage(here, name, { chunkSize: 1_000_000, reporter });
    expect(registry.log().match(/"PATCH \/v2\/pieces\/blobs/g)?.length).toBe(4);
    expect(reporter.tasks.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(pushed.copied);
    expect((await pullImage(there, name)).descriptor.digest).toBe(digest);
  });

  test('two pulls of the same image into one store both succeed', async () => {
    const [here, there] = [await freshStore(), await freshStore()];
    const name = `${registry.address}/twice:v1`;
    const { digest } = await tagSmallImage(here, name, { layers: [{ big: randomBytes(2_000_000) }] });
    await pushImage(here, name);
    const both = await Promise.all([pullImage(there, name), pullImage(there, name)]);
    expect(both.map(({ descriptor }) => descriptor.digest)).toEqual([digest, digest]);
  });

  test('a nondistributable layer is never sent', async () => {
    const store = await freshStore();
    const base = await putImage(store, { layers: [{ a: '1' }] });
    const { manifest } = (await readImage(store, await tagged(store, base))) as {
      manifest: { layers: unknown[]; config: unknown };
    };
    const foreign = await store.putBlob(Buffer.from('licensed'));
    const descriptor = await putDocument(store, {
      ...manifest,
      mediaType: MEDIA.manifest,
      layers: [
        ...manifest.layers,
        {
          mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
          ...foreign,
          urls: ['https://elsewhere.example/x'],
        },
      ],
    });
    await store.tag('foreign:v1', descriptor);
    const reporter = new RecordingReporter();
    await pushImage(store, 'foreign:v1', { to: `${registry.address}/foreign:v1`, reporter });
    expect(reporter.warnings.join()).toContain('may not be distributed');
    const repository = new Repository(registry.address, 'foreign');
    expect(await repository.hasBlob(foreign)).toBe(false);
    expect((await repository.resolve('v1')).digest).toBe(descriptor.digest);
  });

  test('tags come in pages, a manifest is deleted, referrers are found by the fallback tag', async () => {
    const store = await freshStore();
    const subject = await tagSmallImage(store, 'tags:t1');
    const repository = new Repository(registry.address, 'tags');
    for (const tag of ['t1', 't2', 't3']) await pushImage(store, 'tags:t1', { to: `${registry.address}/tags:${tag}` });
    expect((await repository.listTags()).sort()).toEqual(['t1', 't2', 't3']);

    const empty = { mediaType: MEDIA.empty, ...(await store.putBlob(Buffer.from('{}'))) };
    const sbom = await putDocument(store, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: 'application/spdx+json',
      config: empty,
      layers: [empty],
      subject,
    });
    await store.tag('sbom:v1', sbom);
    await pushImage(store, 'sbom:v1', { to: `${registry.address}/tags:sbom` });
    const found = await repository.referrers(subject.digest);
    expect(found).toMatchObject([{ digest: sbom.digest, artifactType: 'application/spdx+json' }]);
    expect(await repository.referrers(subject.digest, 'text/plain')).toEqual([]);

    await repository.deleteManifest(sbom.digest);
    await expect(repository.resolve('sbom')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

test('referrers of a registry without the API: kept together, and no image is overwritten for them', async () => {
  const store = await freshStore();
  const at = (name: string): string => `${registry.address}/fallback${name}`;
  const repository = new Repository(registry.address, 'fallback');
  const empty = { mediaType: MEDIA.empty, ...(await store.putBlob(Buffer.from('{}'))) };
  const artifact = async (subject: Descriptor, artifactType: string): Promise<void> => {
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType,
      config: empty,
      layers: [empty],
      subject,
    };
    await store.tag('artifact:1', await putDocument(store, document));
    await pushImage(store, 'artifact:1', { to: at(`:${artifactType.replace('/', '-')}`) });
  };
  const subject = await tagSmallImage(store, 'subject:1');
  await pushImage(store, 'subject:1', { to: at(':1') });
  for (const type of ['text/sbom', 'text/signature', 'text/sbom']) await artifact(subject, type);
  const types = (await repository.referrers(subject.digest)).map(({ artifactType }) => artifactType);
  expect(types).toEqual(['text/sbom', 'text/signature']);

  const other = await tagSmallImage(store, 'other:1');
  const tag = other.digest.replace(':', '-');
  await pushImage(store, 'other:1', { to: at(`:${tag}`) });
  await expect(artifact(other, 'text/sbom')).rejects.toMatchObject({
    code: 'E_REGISTRY',
    message: expect.stringContaining(`the tag ${tag} is an image`),
  });
  expect((await repository.resolve(tag)).digest).toBe(other.digest);
  expect(await repository.referrers(other.digest)).toEqual([]);
});

async function tagged(
  store: Awaited<ReturnType<typeof freshStore>>,
  descriptor: Parameters<typeof store.tag>[1],
): Promise<string> {
  await store.tag('tmp:v1', descriptor);
  return 'tmp:v1';
}

describe('failures say what to do', () => {
  test('an image that is not there', async () => {
    const store = await freshStore();
    await expect(pullImage(store, `${registry.address}/no/such:v9`)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringMatching(/^127\.0\.0\.1:\d+ has no no\/such:v9$/),
    });
  });

  test('nobody listens: reported at once', async () => {
    const store = await freshStore();
    await expect(pullImage(store, '127.0.0.1:1/x:v1')).rejects.toMatchObject({
      code: 'E_REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('slipway registry serve'),
    });
  });
});
