import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { loadArchive } from '../../../src/registry/archive/load.js';
import { readImage } from '../../../src/store/local-image.js';
import { listTree } from '../../support/tree.js';
import { type RawMember, rawTar } from '../../unit/layers/raw-tar.js';
import { copy } from './support/copy.js';
import { must } from './support/programs.js';
import { RecordingReporter } from './support/reporter.js';
import { testDir, testStore } from './support/server.js';

/** Archives as `sealer save` of 0.8 writes them (pkg/image, utils/archive): compared with the program's own writer by hand. */
const [A, B, C] = ['a', 'b', 'c'].map((letter) => letter.repeat(64)) as [string, string, string];
const ID = '52c3b10849c852649e66c2f7ed531f05bd97586ab61fa2cc82b4e79d80484b82';
const ARM = '9e596d0a54177f29093236f65a9c6098590c67ea8b0dde4e09a5a49124cec7d0';

const layerA: readonly RawMember[] = [
  { name: `${A}/Metadata`, content: '{"version":"v1.19.8","arch":"x86_64"}', mtime: 1600000000 },
  { name: `${A}/bin`, type: '5', mode: 0o755 },
  { name: `${A}/bin/run`, content: '#!/bin/sh\n', mode: 0o4755, uid: 3, gid: 4 },
  { name: `${A}/etc`, type: '5', mode: 0o750 },
  { name: `${A}/etc/conf`, content: 'conf' },
  // Go's FileInfoHeader was given the path of the link for its target
  { name: `${A}/etc/link`, type: '2', link: `/var/lib/sealer/data/overlay2/${A}/etc/link`.slice(-100) },
  { name: `${A}/opaque`, type: '5', mode: 0o755 },
  { name: `${A}/opaque/old`, content: 'old' },
];
const layerB: readonly RawMember[] = [
  { name: `${B}/etc`, type: '5', mode: 0o750 },
  { name: `${B}/etc/.wh.conf`, mode: 0o600 },
  { name: `${B}/opaque`, type: '5', mode: 0o755 },
  { name: `${B}/opaque/.wh..wh..opq`, mode: 0o755 },
  { name: `${B}/opaque/new`, content: 'new' },
];
const layerC: readonly RawMember[] = [{ name: `${C}/arm`, content: 'arm' }];

const yaml = (id: string, layers: readonly string[], architecture = 'amd64', extra = ''): RawMember => ({
  name: `${id}.yaml`,
  content: `kind: Image
metadata: {annotations: {x: y}, creationTimestamp: null, name: "kubernetes:v1.19.8"}
spec:
  id: ${id}
  image_config:
    args: {parent: {A: base, B: base}, current: {B: own}}
    cmd:
      parent: [kubectl get nodes]
      current: [kubectl apply -f x.yaml, kubectl get nodes]
    labels: {made: by sealer}
${extra}  layers:
${layers.map((layer) => (layer === '' ? '    - {type: CMD, value: kubectl get nodes}' : `    - {id: "sha256:${layer}", type: COPY, value: . .}`)).join('\n')}
  platform: {architecture: ${architecture}, os: linux}
  sealer_version: latest
status: {}
`,
});
const names = (...ids: string[]): RawMember => ({
  name: 'Metadata',
  content: JSON.stringify({
    'kubernetes:v1.19.8': {
      manifests: ids.map((id) => ({ id, created: '2022-03-08T14:23:18Z', size: 1, platform: {} })),
    },
  }),
});

async function archive(...members: readonly RawMember[]): Promise<string> {
  const file = join(await testDir(), 'sealer.tar');
  await writeFile(file, rawTar(...members));
  return file;
}

describe('an archive of sealer 0.8', () => {
  test('becomes a ClusterImage with the same files, commands, variables and labels', async () => {
    const store = await testStore();
    const file = await archive(...layerA, ...layerB, ...layerA, yaml(ID, [A, '', B]), names(ID));
    const reporter = new RecordingReporter();
    expect(await loadArchive(store, file, { reporter })).toMatchObject([{ name: 'kubernetes:v1.19.8' }]);
    expect(reporter.warnings).toEqual([expect.stringContaining('1 symbolic link is not in the image')]);

    const image = await readImage(store, 'kubernetes:v1.19.8');
    expect(image.descriptor.mediaType).toBe(MEDIA.manifest);
    expect(image.cluster?.extension).toMatchObject({
      type: 'kube-installer',
      env: { A: 'base', B: 'own' },
      launch: { cmds: ['kubectl get nodes', 'kubectl apply -f x.yaml'] },
    });
    expect(image.config).toMatchObject({
      created: '2022-03-08T14:23:18Z',
      config: {
        Labels: {
          made: 'by sealer',
          'cluster.alpha.sealer.io/cluster-runtime-type': 'kubernetes',
          'cluster.alpha.sealer.io/cluster-runtime-version': 'v1.19.8',
        },
      },
      history: [
        { created_by: 'COPY . .' },
        { created_by: 'CMD kubectl get nodes', empty_layer: true },
        { created_by: 'COPY . .' },
      ],
    });
    // another tool unpacks it
    const dir = await testDir();
    await must('umoci', ['raw', 'unpack', '--image', `${store.root}:kubernetes:v1.19.8`, join(dir, 'rootfs')]);
    expect(listTree(join(dir, 'rootfs')).map((line) => line.replace(/ \d+$/, '').replace(/file \w+/, 'file'))).toEqual([
      'Metadata 0644 0:0 file links=1',
      'bin 0755 0:0 dir',
      'bin/run 4755 3:4 file links=1',
      'etc 0750 0:0 dir',
      'opaque 0755 0:0 dir',
      'opaque/new 0644 0:0 file links=1',
    ]);
  });

  test('gives the same image again, and one for each platform when it has several', async () => {
    const [store, other] = [await testStore(), await testStore()];
    const file = await archive(...layerA, yaml(ID, [A]), ...layerC, yaml(ARM, [C], 'arm64'), names(ID, ARM));
    const [loaded] = await loadArchive(store, file);
    expect(await loadArchive(other, file)).toEqual([loaded]);
    expect(loaded?.descriptor.mediaType).toBe(MEDIA.index);
    const arm = await readImage(store, 'kubernetes:v1.19.8', parsePlatform('arm64'));
    expect(arm.manifest.layers).toHaveLength(1);
    await copy('kubernetes:v1.19.8', `oci:${await testDir()}`, { in: store, all: true });
  });

  test('of an application has only its own commands', async () => {
    const store = await testStore();
    await loadArchive(
      store,
      await archive(...layerC, yaml(ID, [C], 'amd64', '    image_type: application\n'), names(ID)),
    );
    expect((await readImage(store, 'kubernetes:v1.19.8')).cluster?.extension).toMatchObject({
      type: 'app-installer',
      env: { B: 'own' },
      launch: { cmds: ['kubectl apply -f x.yaml', 'kubectl get nodes'] },
    });
  });

  test('is named by who cannot read it: copy, and load of a stream', async () => {
    const file = await archive(...layerA, yaml(ID, [A]), names(ID));
    for (const kind of ['oci-archive', 'docker-archive'])
      await expect(copy(`${kind}:${file}`, `oci:${await testDir()}`)).rejects.toMatchObject({
        code: 'E_BAD_ARCHIVE',
        hint: `sealer 0.8 made it: slipway load -i ${file} brings it into the store`,
      });
    const store = await testStore();
    await expect(loadArchive(store, createReadStream(file))).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      hint: expect.stringContaining('slipway load -i FILE'),
    });
  });

  test.each<[string, RawMember[], string, string | RegExp]>([
    ['an image is missing', [...layerA, names(ID)], 'E_BAD_ARCHIVE', `lacks ${ID}.yaml`],
    ['a layer is missing', [...layerA, yaml(ID, [A, B]), names(ID)], 'E_BAD_ARCHIVE', `lacks the layer ${B}`],
    [
      'a layer comes in parts',
      [...layerA, ...layerB, { name: `${A}/more` }, yaml(ID, [A, B]), names(ID)],
      'E_BAD_ARCHIVE',
      'several parts',
    ],
    ['an id is a path', [...layerA, names('../../etc/x')], 'E_BAD_ARCHIVE', 'manifests'],
    ['a layer is a path', [...layerA, yaml(ID, ['../x']), names(ID)], 'E_BAD_ARCHIVE', 'is no layer'],
    [
      'a file leaves its layer',
      [...layerA, { name: `${A}/../x` }, yaml(ID, [A]), names(ID)],
      'E_UNSAFE_ARCHIVE',
      'leaves the root',
    ],
    [
      'a hard link leaves its layer',
      [...layerA, { name: `${A}/hard`, type: '1', link: `${B}/x` }, yaml(ID, [A]), names(ID)],
      'E_BAD_ARCHIVE',
      'leaves its layer',
    ],
    [
      'YAML is none',
      [...layerA, { name: `${ID}.yaml`, content: 'kind: [' }, names(ID)],
      'E_BAD_ARCHIVE',
      'not valid YAML',
    ],
    [
      'it is of another kind',
      [...layerA, { name: `${ID}.yaml`, content: 'kind: Cluster\nspec: {}' }, names(ID)],
      'E_BAD_ARCHIVE',
      'kind',
    ],
    ['there is no image', [...layerA, names()], 'E_BAD_ARCHIVE', 'has no images'],
  ])('is refused when %s', async (_, members, code, message) => {
    const store = await testStore();
    await expect(loadArchive(store, await archive(...members))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await store.images()).toEqual([]);
  });

  test('with a bomb of aliases is refused', async () => {
    const lines = ['a0: &a0 [x,x,x,x,x,x,x,x,x,x]'];
    for (let n = 1; n < 9; n++) lines.push(`a${n}: &a${n} [${`*a${n - 1},`.repeat(10)}]`);
    const bomb = { name: `${ID}.yaml`, content: `kind: Image\n${lines.join('\n')}\nspec: {}\n` };
    await expect(loadArchive(await testStore(), await archive(...layerA, bomb, names(ID)))).rejects.toMatchObject({
      code: 'E_BAD_ARCHIVE',
      message: expect.stringContaining('aliases'),
    });
  });
});
