import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parsePlatform } from '../../../src/image/platform.js';
import { parseReference } from '../../../src/image/reference.js';
import { tarStream } from '../../../src/layers/tar-stream-out.js';
import { distributionLayers } from '../../../src/registry/distribution-tree.js';
import { pullImage } from '../../../src/registry/pull.js';
import { startDockerRegistry } from './support/docker-registry.js';
import { putImage, putIndex, tempStore } from './support/images.js';
import { must, tempDir } from './support/programs.js';

async function freshStore() {
  const made = await tempStore();
  onTestFinished(() => made.close());
  return made.store;
}

test("docker's registry serves the images from the tree alone", async () => {
  const [store, elsewhere] = [await freshStore(), await freshStore()];
  const common = { 'usr/common': 'shared by both' };
  const web = await putImage(store, { layers: [common, { 'usr/web': 'web' }] });
  const arm = await putImage(store, { layers: [{ f: 'arm' }], platform: parsePlatform('arm64') });
  const multi = await putIndex(store, [
    [parsePlatform('amd64'), await putImage(store, { layers: [common, { f: 'amd' }] })],
    [parsePlatform('arm64'), arm],
  ]);
  const layers = await distributionLayers(store, [
    { reference: parseReference('web:1.0'), descriptor: web },
    { reference: parseReference('quay.example/team/multi:v2'), descriptor: multi },
  ]);
  expect(layers.map(({ title }) => title)).toEqual([
    'docker.io/library/web:1.0',
    'quay.example/team/multi:v2',
    'content shared by container images',
    'container image names',
  ]);

  const dir = await tempDir('tree');
  onTestFinished(() => dir.remove());
  for (const [index, { entries }] of layers.entries()) {
    const tar = join(dir.path, `${index}.tar`);
    await writeFile(tar, tarStream(entries));
    await must('tar', ['-xf', tar, '-C', dir.path]);
  }
  const registry = await startDockerRegistry({ storage: join(dir.path, 'registry') });
  onTestFinished(() => registry.close());
  const pulled = await pullImage(elsewhere, `${registry.address}/library/web:1.0`);
  expect(pulled.descriptor.digest).toBe(web.digest);
  expect((await pullImage(elsewhere, `${registry.address}/team/multi:v2`, { all: true })).descriptor).toEqual(multi);
  await must('skopeo', [
    'copy',
    '--all',
    '--src-tls-verify=false',
    `docker://${registry.address}/team/multi:v2`,
    `dir:${await made(dir.path)}`,
  ]);
});

test('an image that changes changes its own layer and the links only', async () => {
  const store = await freshStore();
  const fixed = { reference: parseReference('a:1'), descriptor: await putImage(store, { layers: [{ a: 'a' }] }) };
  const [before, after] = [
    await putImage(store, { layers: [{ b: '1' }] }),
    await putImage(store, { layers: [{ b: '2' }] }),
  ];
  const reference = parseReference('b:1');
  const one = await distributionLayers(store, [fixed, { reference, descriptor: before }]);
  const two = await distributionLayers(store, [{ reference, descriptor: after }, fixed]);
  expect(two.map(({ key }, index) => key === one[index]?.key)).toEqual([true, false, false]);
});

test('two images that would have one name in the cluster are refused', async () => {
  const store = await freshStore();
  const images = [
    { reference: parseReference('one.example/app/web:1'), descriptor: await putImage(store, { layers: [{ a: '1' }] }) },
    { reference: parseReference('two.example/app/web:1'), descriptor: await putImage(store, { layers: [{ a: '2' }] }) },
  ];
  await expect(distributionLayers(store, images)).rejects.toMatchObject({
    code: 'E_INVALID_MANIFEST',
    message: expect.stringMatching(/one\.example\/app\/web:1 and two\.example\/app\/web:1 .* app\/web:1/),
  });
});

async function made(parent: string): Promise<string> {
  const path = join(parent, 'copied');
  await mkdir(path);
  return path;
}
