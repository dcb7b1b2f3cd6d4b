// Container images on their way into the registry of a cluster: uploaded to one outside of it, and pushed into the storage of its own, served by
// Debian's docker-registry.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { silentReporter } from '../../../src/base/reporter.js';
import { connectHost } from '../../../src/hosts/connect.js';
import { sha256Digest } from '../../../src/image/digest.js';
import type { Descriptor } from '../../../src/image/oci.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { parseReference } from '../../../src/image/reference.js';
import type { WantedEntry } from '../../../src/install/files/rootfs.js';
import { missingImages, uploadImages } from '../../../src/install/registry/external-upload.js';
import { storageRoot } from '../../../src/install/registry/storage-listing.js';
import { storageImageTarget } from '../../../src/install/registry/storage-target.js';
import { hostPaths } from '../../../src/install/state/cluster-paths.js';
import { blobFile } from '../../../src/registry/distribution-paths.js';
import { type CarriedImage, distributionLayers } from '../../../src/registry/distribution-tree.js';
import { copyImage } from '../../../src/registry/places/copy-image.js';
import type { ImageSource } from '../../../src/registry/places/image-place.js';
import { pullImage } from '../../../src/registry/pull.js';
import { storeSource } from '../../../src/registry/store-content.js';
import type { Store } from '../../../src/store/store.js';
import { makeCertificates } from '../registry/support/certificates.js';
import { startDockerRegistry } from '../registry/support/docker-registry.js';
import { putImage, putIndex, tempStore } from '../registry/support/images.js';
import { tempDir } from '../registry/support/programs.js';

async function freshStore(): Promise<Store> {
  const made = await tempStore();
  onTestFinished(() => made.close());
  return made.store;
}

async function freshDir(): Promise<string> {
  const dir = await tempDir('content');
  onTestFinished(() => dir.remove());
  return dir.path;
}

/** The rootfs of a cluster image that carries these images. */
async function rootfsWith(store: Store, images: readonly CarriedImage[]): Promise<WantedEntry[]> {
  const layers = await distributionLayers(store, images);
  return layers.flatMap(({ entries }) =>
    entries.map(({ path, type, mode, content, size }): WantedEntry => {
      const common = { path, mode, uid: 0, gid: 0, mtime: 0 };
      if (type !== 'file' || content === undefined) return { ...common, type: 'dir' };
      const bytes = 'bytes' in content ? content.bytes : readFileSync('file' in content ? content.file : '');
      const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
      return { ...common, type: 'file', size, digest, content: { bytes } };
    }),
  );
}

describe('an external registry', () => {
  test('gets what it lacks, over TLS and with a password, and serves it', async () => {
    const store = await freshStore();
    const common = { 'usr/common': 'shared' };
    const web = await putImage(store, { layers: [common, { web: '1' }] });
    const db = await putImage(store, { layers: [common, { db: '1' }] });
    const multi = await putIndex(store, [
      [parsePlatform('amd64'), await putImage(store, { layers: [{ f: 'amd' }] })],
      [parsePlatform('arm64'), await putImage(store, { layers: [{ f: 'arm' }], platform: parsePlatform('arm64') })],
    ]);
    const entries = await rootfsWith(store, [
      { reference: parseReference('web:1.0'), descriptor: web },
      { reference: parseReference('quay.io/plant/db:1'), descriptor: db },
      { reference: parseReference('quay.io/plant/multi:1'), descriptor: multi },
    ]);
    const dir = await freshDir();
    const { ca, cert, key } = await makeCertificates(dir);
    const registry = await startDockerRegistry({ tls: { cert, key }, users: { ann: 'sesame' } });
    onTestFinished(() => registry.close());
    const options = { credential: { username: 'ann', password: 'sesame' }, certDir: join(dir, 'trust'), env: {} };
    const { mkdir, copyFile } = await import('node:fs/promises');
    await mkdir(options.certDir);
    await copyFile(ca, join(options.certDir, 'ca.crt'));
    const place = { host: registry.address, options };

    const before = await missingImages(entries, place);
    expect(before.missing.map(({ repository, tag }) => `${repository}:${tag}`).sort()).toEqual([
      'library/web:1.0',
      'plant/db:1',
      'plant/multi:1',
    ]);
    const said = await uploadImages(entries, place, { reporter: silentReporter });
    expect(said).toMatch(/ images, .* sent, .* were there$/);
    expect(await missingImages(entries, place)).toEqual({ missing: [], all: 3 });
    for (const [name, all, wanted] of [
      ['library/web:1.0', false, web],
      ['plant/db:1', false, db],
      ['plant/multi:1', true, multi],
    ] as const) {
      const pulled = await pullImage(await freshStore(), `${registry.address}/${name}`, { ...options, all });
      expect(pulled.descriptor.digest).toBe(wanted.digest);
    }
    // Shared content is sent once, and a second time nothing is.
    expect(registry.log().match(/PUT \/v2\/[^ ]*\/manifests\//g)?.length).toBeGreaterThan(3);
    expect(await uploadImages(entries, place, { reporter: silentReporter })).toMatch(/, 0B sent, /);
  });

  test('that refuses the password is named', async () => {
    const store = await freshStore();
    const entries = await rootfsWith(store, [
      { reference: parseReference('web:1.0'), descriptor: await putImage(store, { layers: [{ a: 'b' }] }) },
    ]);
    const registry = await startDockerRegistry({ users: { ann: 'sesame' } });
    onTestFinished(() => registry.close());
    const options = { credential: { username: 'ann', password: 'wrong-one' }, env: {} };
    const place = { host: registry.address, options };
    await expect(uploadImages(entries, place, { reporter: silentReporter })).rejects.toThrow(registry.address);
  });

  test('is told of an index of which only one image is carried, or refuses it and that is said', async () => {
    const store = await freshStore();
    const amd = await putImage(store, { layers: [{ f: 'amd' }] });
    const index = await putIndex(store, [
      [parsePlatform('amd64'), amd],
      [parsePlatform('arm64'), await putImage(store, { layers: [{ f: 'arm' }], platform: parsePlatform('arm64') })],
    ]);
    const entries = await rootfsWith(store, [
      { reference: parseReference('web:1.0'), descriptor: amd, indexes: [index] },
    ]);
    const registry = await startDockerRegistry();
    onTestFinished(() => registry.close());
    const warnings: string[] = [];
    const reporter = { ...silentReporter, warn: (line: string) => void warnings.push(line) };
    const place = { host: registry.address, options: { env: {} } };
    await uploadImages(entries, place, { reporter });
    expect(warnings).toEqual([expect.stringContaining('library/web@')]);
    expect(await missingImages(entries, place)).toEqual({ missing: [], all: 1 });
  });
});

describe('the storage of a registry', () => {
  const host = connectHost('127.0.0.1');
  afterAll(() => host.close());

  const sourceOf = (store: Store, root: Descriptor, name: string): ImageSource => ({
    label: name,
    content: storeSource(store),
    root,
    names: [name],
  });

  test('takes images while it is served; what is there is not sent again', async () => {
    const store = await freshStore();
    const paths = hostPaths(await freshDir(), 'prod');
    const storage = join(paths.rootfs, 'registry');
    const common = { 'usr/common': 'shared' };
    const registry = await startDockerRegistry({ storage });
    onTestFinished(() => registry.close());
    const push = async (root: Descriptor, repository: string, tag: string) =>
      copyImage(
        sourceOf(store, root, repository),
        storageImageTarget(host, paths, 'sea.hub:5000', () => ({ repository, tag })),
        { all: true },
      );
    const web = await putImage(store, { layers: [common, { web: '1' }] });
    expect(await push(web, 'library/web', '1')).toMatchObject({ reused: 0 });
    expect(await push(web, 'library/web', '1')).toMatchObject({ copied: 0 });
    // Another repository, of which the registry has a layer.
    const tool = await putImage(store, { layers: [common, { tool: '1' }] });
    expect((await push(tool, 'plant/tool', '1')).reused).toBeGreaterThan(0);
    // A tag that comes to stand for another image.
    const next = await putImage(store, { layers: [{ web: '2' }] });
    await push(next, 'library/web', '1');
    for (const [name, wanted] of [
      ['library/web:1', next],
      [`library/web@${web.digest}`, web],
      ['plant/tool:1', tool],
    ] as const) {
      const pulled = await pullImage(await freshStore(), `${registry.address}/${name}`);
      expect(pulled.descriptor.digest).toBe(wanted.digest);
    }
  });

  test('does not take what is damaged, and keeps nothing of it', async () => {
    const store = await freshStore();
    const paths = hostPaths(await freshDir(), 'prod');
    const image = await putImage(store, { layers: [{ web: '1' }] });
    const whole = storeSource(store);
    const damaged: ImageSource = {
      ...sourceOf(store, image, 'web'),
      content: {
        ...whole,
        async *open(descriptor, start, end) {
          yield Buffer.alloc(end - start);
          expect(descriptor.size).toBe(end);
        },
      },
    };
    const target = storageImageTarget(host, paths, 'sea.hub:5000', () => ({ repository: 'library/web', tag: '1' }));
    await expect(copyImage(damaged, target, {})).rejects.toThrow(/did not arrive as its digest says/);
    const { stdout } = await host.run(`find ${storageRoot(paths)} -type f; true`);
    expect(stdout).not.toContain('link');
    expect(stdout).not.toContain('.slipway');
    expect(stdout).not.toContain(blobFile(image.digest));
  });
});
