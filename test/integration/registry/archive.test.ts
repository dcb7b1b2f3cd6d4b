import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import { loadArchive } from '../../../src/registry/archive/load.js';
import { saveImages } from '../../../src/registry/archive/save.js';
import { imageSize } from '../../../src/store/describe.js';
import { readImage } from '../../../src/store/local-image.js';
import { tryLock } from '../../../src/store/locks.js';
import { putImage, putIndex, tagSmallImage } from './support/images.js';
import { must } from './support/programs.js';
import { testDir, testStore } from './support/server.js';

describe('OCI archives', () => {
  test('images come back as they were, from a file, a stream, and compressed', async () => {
    const [here, dir] = [await testStore(), await testDir()];
    const one = await tagSmallImage(here, 'one:v1', { layers: [{ a: randomBytes(300_000) }, { b: 'b' }] });
    const two = await tagSmallImage(here, '127.0.0.1:5000/k8s/two:v2');
    const file = join(dir, 'images.tar');
    const expected = await Promise.all(
      [
        { name: 'one:v1', descriptor: one },
        { name: '127.0.0.1:5000/k8s/two:v2', descriptor: two },
      ].map(async (image) => ({ ...image, size: imageSize(await readImage(here, image.name)) })),
    );
    expect(await saveImages(here, ['one:v1', '127.0.0.1:5000/k8s/two:v2'], file)).toEqual(
      expected.map((image) => ({ ...image, saved: image.size })),
    );
    expect(await readdir(dir)).toEqual(['images.tar']);
    expect(await loadArchive(await testStore(), file)).toEqual(expected);
    expect(await loadArchive(await testStore(), createReadStream(file))).toEqual(expected);
    await must('gzip', ['-k', file]);
    await must('zstd', ['-q', file]);
    expect(await loadArchive(await testStore(), `${file}.gz`)).toEqual(expected);
    expect(await loadArchive(await testStore(), `${file}.zst`)).toEqual(expected);
  });

  test('saving again gives the same bytes', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await saveImages(store, ['x:1'], join(dir, 'a'));
    await saveImages(store, ['x:1'], createWriteStream(join(dir, 'b')));
    expect(await readFile(join(dir, 'a'))).toEqual(await readFile(join(dir, 'b')));
  });

  test('skopeo reads ours, and we read skopeo`s', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const { digest } = await tagSmallImage(store, '127.0.0.1:5000/x:1');
    await saveImages(store, ['127.0.0.1:5000/x:1'], join(dir, 'ours.tar'));
    const inspected = JSON.parse(await must('skopeo', ['inspect', `oci-archive:${dir}/ours.tar:127.0.0.1:5000/x:1`]));
    expect(inspected.Digest).toBe(digest);
    await must('skopeo', ['copy', `oci:${store.root}:127.0.0.1:5000/x:1`, `oci-archive:${dir}/theirs.tar:y:2`]);
    expect(await loadArchive(store, join(dir, 'theirs.tar'))).toMatchObject([{ name: 'y:2', descriptor: { digest } }]);
  });

  test('a multi-platform image is saved whole', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const [amd, arm] = [
      { os: 'linux', architecture: 'amd64' },
      { os: 'linux', architecture: 'arm64' },
    ];
    const index = await putIndex(store, [
      [amd, await putImage(store, { layers: [{ f: 'amd' }], platform: amd })],
      [arm, await putImage(store, { layers: [{ f: 'arm' }], platform: arm })],
    ]);
    await store.tag('multi:1', index);
    await saveImages(store, ['multi:1'], join(dir, 'multi.tar'));
    const there = await testStore();
    expect(await loadArchive(there, join(dir, 'multi.tar'))).toMatchObject([{ name: 'multi:1', descriptor: index }]);
    expect((await readImage(there, 'multi:1', arm)).platform).toEqual(arm);
  });

  test('what a killed save has left beside the file goes with the next; what another is writing stays', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    const [left, written, other] = ['.a.tar.0123456789ab', '.a.tar.ba9876543210', '.a.tar.not-ours'];
    for (const name of [left, written, other]) await writeFile(join(dir, name), 'x');
    const lock = await tryLock(join(dir, written), 'exclusive');
    await saveImages(store, ['x:1'], join(dir, 'a.tar'));
    await lock?.release();
    expect((await readdir(dir)).sort()).toEqual([written, other, 'a.tar'].sort());
  });

  test('a FIFO is written to, not replaced', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await must('mkfifo', [join(dir, 'fifo')]);
    const [loaded] = await Promise.all([
      loadArchive(await testStore(), createReadStream(join(dir, 'fifo'))),
      saveImages(store, ['x:1'], join(dir, 'fifo')),
    ]);
    expect(loaded).toMatchObject([{ name: 'x:1' }]);
    expect((await lstat(join(dir, 'fifo'))).isFIFO()).toBe(true);
  });

  test('a directory that a killed save has left is completed', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const descriptor = await tagSmallImage(store, 'x:1');
    await mkdir(join(dir, 'layout/blobs/sha256'), { recursive: true });
    await mkdir(join(dir, 'layout/.slipway-tmp/0123456789abcdef'), { recursive: true });
    await writeFile(join(dir, 'layout/.slipway-tmp/0123456789abcdef/lock'), '');
    await writeFile(join(dir, 'layout/.slipway-tmp/0123456789abcdef/0-blob'), 'half of it');
    await saveImages(store, ['x:1'], join(dir, 'layout'), { format: 'oci-dir' });
    expect((await readdir(join(dir, 'layout'))).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect(await loadArchive(await testStore(), join(dir, 'layout'))).toMatchObject([{ name: 'x:1', descriptor }]);
  });

  test('a directory is written and read; one that is not empty is left alone', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const descriptor = await tagSmallImage(store, 'x:1');
    await saveImages(store, ['x:1'], join(dir, 'layout'), { format: 'oci-dir' });
    await must('skopeo', ['inspect', `oci:${dir}/layout:x:1`]);
    expect(await loadArchive(await testStore(), join(dir, 'layout'))).toMatchObject([{ name: 'x:1', descriptor }]);
    await expect(saveImages(store, ['x:1'], join(dir, 'layout'), { format: 'oci-dir' })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
  });

  test.each(['oci-archive', 'oci-dir'] as const)(
    '%s with only what an older image lacks needs that image where it is loaded',
    async (format) => {
      const [store, dir] = [await testStore(), await testDir()];
      const common = { big: randomBytes(200_000) };
      const old = await tagSmallImage(store, 'k8s:v1', { layers: [common] });
      const next = await tagSmallImage(store, 'k8s:v2', { layers: [common, { more: 'new' }] });
      const [full, delta] = [join(dir, 'old.tar'), join(dir, 'delta')];
      await saveImages(store, ['k8s:v1'], full);
      await saveImages(store, ['k8s:v2'], delta, { format, since: ['k8s:v1'] });
      expect(Number((await must('du', ['-sb', delta])).split('\t')[0])).toBeLessThan(50_000);

      const there = await testStore();
      await expect(loadArchive(there, delta)).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
        message: expect.stringContaining(`k8s:v1@${old.digest}`),
        hint: 'load or pull k8s:v1 first',
      });
      expect(await there.images()).toEqual([]);
      await loadArchive(there, full);
      expect(await loadArchive(there, delta)).toMatchObject([{ name: 'k8s:v2', descriptor: next }]);
    },
  );
});

describe('docker archives', () => {
  test('we write what skopeo reads, with uncompressed layers', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'docker.io/library/x:1', { layers: [{ a: randomBytes(300_000) }, { b: 'b' }] });
    const file = join(dir, 'x.tar');
    await saveImages(store, ['docker.io/library/x:1'], file, { format: 'docker-archive' });
    await must('skopeo', ['copy', `docker-archive:${file}`, `oci:${dir}/layout:x`]);
    const names = (await must('tar', ['-tf', file])).trim().split('\n');
    const { config, manifest } = await readImage(store, 'docker.io/library/x:1');
    expect(names).toEqual([
      ...config.rootfs.diff_ids.map((digest) => `${digest.slice(7)}.tar`),
      `${manifest.config.digest.slice(7)}.json`,
      'manifest.json',
    ]);

    const there = await testStore();
    const [loaded] = await loadArchive(there, file);
    expect(loaded?.name).toBe('x:1');
    const image = await readImage(there, 'x:1');
    expect(image.config).toEqual(config);
    expect(image.manifest.layers.map(({ mediaType, digest }) => [mediaType, digest])).toEqual(
      config.rootfs.diff_ids.map((digest) => [MEDIA.layerTar, digest]),
    );
  });

  test('we read what skopeo writes, symbolic links included', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1', { layers: [{ a: 'a' }, { b: 'b' }, { a: 'a' }] });
    const { config } = await readImage(store, 'x:1');
    await must('skopeo', ['copy', `oci:${store.root}:x:1`, `docker-archive:${dir}/x.tar:host.example/team/x:7`]);
    const there = await testStore();
    expect((await loadArchive(there, join(dir, 'x.tar'))).map(({ name }) => name)).toEqual(['host.example/team/x:7']);
    expect((await readImage(there, 'host.example/team/x:7')).config.rootfs).toEqual(config.rootfs);
  });

  test('an archive in the manner of docker 20: layers in directories, shared by links, compressed ones among them', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1', { layers: [{ a: 'a' }, { b: 'b' }] });
    await saveImages(store, ['x:1'], join(dir, 'x.tar'), { format: 'docker-archive' });
    const work = join(dir, 'work');
    await mkdir(join(work, 'aaa'), { recursive: true });
    await mkdir(join(work, 'bbb'));
    await must('tar', ['-xf', join(dir, 'x.tar'), '-C', work]);
    const [entry] = JSON.parse(await readFile(join(work, 'manifest.json'), 'utf8'));
    await must('mv', [join(work, entry.Layers[0]), join(work, 'aaa/layer.tar')]);
    await must('ln', ['-s', '../aaa/layer.tar', join(work, 'bbb/layer.tar')]);
    await must('gzip', ['-n', join(work, entry.Layers[1])]);
    await writeFile(join(work, 'aaa/VERSION'), '1.0');
    const manifest = [
      { Config: entry.Config, RepoTags: ['x:2', 'y:2'], Layers: ['bbb/layer.tar', `${entry.Layers[1]}.gz`] },
    ];
    await writeFile(join(work, 'manifest.json'), JSON.stringify(manifest));
    await must('tar', ['-cf', join(dir, 'made.tar'), '-C', work, '.']);
    const there = await testStore();
    expect((await loadArchive(there, join(dir, 'made.tar'))).map(({ name }) => name)).toEqual(['x:2', 'y:2']);
    expect((await readImage(there, 'y:2')).manifest.layers.map(({ mediaType }) => mediaType)).toEqual([
      MEDIA.layerTar,
      MEDIA.layerGzip,
    ]);
  });

  test('an image without a name gets one, or a hint', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const { digest } = await tagSmallImage(store, 'x:1');
    await must('skopeo', ['copy', `oci:${store.root}:x:1`, `oci-archive:${dir}/x.tar`]);
    await expect(loadArchive(store, join(dir, 'x.tar'))).rejects.toMatchObject({
      code: 'E_USAGE',
      hint: expect.stringContaining('--as NAME'),
    });
    expect(await loadArchive(store, join(dir, 'x.tar'), { as: 'named:1' })).toMatchObject([
      { name: 'named:1', descriptor: { digest } },
    ]);
  });
});

describe('archives that are not what they say', () => {
  test('damaged, truncated, and something else', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1', { layers: [{ a: randomBytes(100_000) }] });
    const file = join(dir, 'x.tar');
    await saveImages(store, ['x:1'], file);
    const bytes = await readFile(file);
    const there = await testStore();
    const damaged = Buffer.from(bytes);
    damaged.fill(7, bytes.length / 2, bytes.length / 2 + 100);
    await writeFile(join(dir, 'damaged'), damaged);
    await writeFile(join(dir, 'short'), bytes.subarray(0, 60_000));
    await writeFile(join(dir, 'text'), 'not a tar');
    await must('tar', ['-cf', join(dir, 'other'), '-C', dir, 'text']);
    await expect(loadArchive(there, join(dir, 'damaged'))).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    await expect(loadArchive(there, join(dir, 'short'))).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
    await expect(loadArchive(there, join(dir, 'text'))).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
    await expect(loadArchive(there, join(dir, 'other'))).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
    await expect(loadArchive(there, join(dir, 'absent'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await there.images()).toEqual([]);
    for (const corner of await readdir(join(there.root, 'tmp'))) {
      expect(await readdir(join(there.root, 'tmp', corner))).toEqual(['lock']);
    }
  });

  test('a docker archive whose layer is not the one of its config', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await saveImages(store, ['x:1'], join(dir, 'x.tar'), { format: 'docker-archive' });
    await must('tar', ['-xf', join(dir, 'x.tar'), '-C', dir]);
    const [{ Config, Layers }] = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'));
    await must('cp', [join(dir, 'x.tar'), join(dir, Layers[0])]);
    await must('tar', ['-cf', join(dir, 'made.tar'), '-C', dir, 'manifest.json', Config, Layers[0]]);
    await expect(loadArchive(store, join(dir, 'made.tar'))).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    await must('sed', ['-i', 's/amd64/arm64/', join(dir, Config)]);
    await must('tar', ['-cf', join(dir, 'made.tar'), '-C', dir, 'manifest.json', Config, Layers[0]]);
    await expect(loadArchive(store, join(dir, 'made.tar'))).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
      message: expect.stringContaining(Config),
    });
    await must('tar', ['-cf', join(dir, 'made.tar'), '-C', dir, 'manifest.json', Config]);
    await expect(loadArchive(store, join(dir, 'made.tar'))).rejects.toMatchObject({
      code: expect.stringMatching(/E_BAD_ARCHIVE|E_DIGEST_MISMATCH/),
    });
  });

  test('a save that cannot end leaves no file', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    const { manifest } = await readImage(store, 'x:1');
    await store.blobs.remove((manifest.layers[0] ?? manifest.config).digest);
    await expect(saveImages(store, ['x:1'], join(dir, 'x.tar'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    await expect(saveImages(store, ['x:1'], join(dir, 'x.tar'), { format: 'docker-archive' })).rejects.toThrow();
    await expect(saveImages(store, ['x:1'], join(dir, 'no/such/dir/x.tar'))).rejects.toThrow();
    expect(await readdir(dir)).toEqual([]);
  });
});
