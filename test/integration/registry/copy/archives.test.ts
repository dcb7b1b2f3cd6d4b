import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MEDIA } from '../../../../src/image/media-types.js';
import { loadArchive } from '../../../../src/registry/archive/load.js';
import { readImage } from '../../../../src/store/local-image.js';
import { type RawMember, rawTar } from '../../../unit/layers/raw-tar.js';
import { copy, skopeoConfig, skopeoCopy, skopeoReadsAll, skopeoSees } from '../support/copy.js';
import { putDocument, putImage, tagSmallImage } from '../support/images.js';
import { must } from '../support/programs.js';
import { RecordingReporter } from '../support/reporter.js';
import { testDir, testStore } from '../support/server.js';

/** An image of podman's own, built by buildah, and podman in a storage of its own. */
async function podmanImage(dir: string, name: string) {
  const flags = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
  const podman = (...args: string[]): Promise<string> => must('podman', [...flags, ...args]);
  await writeFile(
    join(dir, 'Containerfile'),
    'FROM scratch\nCOPY content /content\nCOPY more /more\nLABEL made=here\n',
  );
  await writeFile(join(dir, 'content'), randomBytes(300_000));
  await writeFile(join(dir, 'more'), 'more');
  onTestFinished(async () => {
    await must('buildah', [...flags, 'rmi', '--all', '--force']);
  });
  await must('buildah', [...flags, 'bud', '--layers', '-t', name, '-f', join(dir, 'Containerfile'), dir]);
  return podman;
}

describe('podman', () => {
  test('saves what we read, and loads what we write, in both formats', async () => {
    const dir = await testDir();
    const podman = await podmanImage(dir, 'host.example/podman/x:1');
    const id = (await podman('images', '--no-trunc', '-q')).trim();
    for (const format of ['docker-archive', 'oci-archive']) {
      const [theirs, ours] = [join(dir, `theirs-${format}`), join(dir, `ours-${format}`)];
      await podman('save', '-q', '--format', format, '-o', theirs, 'host.example/podman/x:1');
      const store = await testStore();
      await copy(`${format}:${theirs}`, 'store:', { in: store });
      const image = await readImage(store, 'host.example/podman/x:1');
      expect(image.manifest.config.digest).toBe(id);
      expect((await loadArchive(await testStore(), theirs)).map(({ name }) => name)).toEqual([
        'host.example/podman/x:1',
      ]);
      await copy('host.example/podman/x:1', `${format}:${ours}:host.example/back/${format}:2`, { in: store });
      expect(await podman('load', '-q', '-i', ours)).toContain(`host.example/back/${format}:2`);
      expect((await podman('images', '--no-trunc', '-q', `host.example/back/${format}:2`)).trim()).toBe(id);
    }
  });

  test('saves several images in one archive', async () => {
    const dir = await testDir();
    const podman = await podmanImage(dir, 'host.example/a:1');
    await podman('tag', 'host.example/a:1', 'host.example/b:2');
    const file = join(dir, 'several.tar');
    await podman('save', '-q', '-m', '-o', file, 'host.example/a:1', 'host.example/b:2');
    await copy(`docker-archive:${file}:host.example/b:2`, `oci:${dir}/layout`);
    expect(await readFile(join(dir, 'layout/index.json'), 'utf8')).toContain('host.example/b:2');
  });
});

describe('an OCI archive', () => {
  test('with several images has to be asked for one of them', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const one = await tagSmallImage(store, 'one:1');
    for (const name of ['two:1', 'three:1']) await tagSmallImage(store, name);
    const layout = join(dir, 'layout');
    for (const name of ['one:1', 'two:1', 'three:1']) await copy(name, `oci:${layout}`, { in: store });
    const file = join(dir, 'several.tar');
    await must('tar', ['-cf', file, '-C', layout, '.']);
    await expect(copy(`oci-archive:${file}`, `oci:${dir}/out`)).rejects.toMatchObject({
      code: 'E_USAGE',
      message: `${file} has 3 images`,
      hint: expect.stringContaining('one:1, two:1, three:1'),
    });
    expect((await copy(`oci-archive:${file}:one:1`, `oci:${dir}/out`)).descriptor.digest).toBe(one.digest);
    await expect(copy(`oci-archive:${file}:tow:1`, `oci:${dir}/out`)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: expect.stringContaining('did you mean two:1?'),
    });
  });

  test('is written in the same bytes again, also to a pipe; and read from one, and compressed', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const layers = Array.from({ length: 9 }, (_, n) => ({ [`${n}`]: randomBytes(30_000 * (9 - n)) }));
    const { digest } = await tagSmallImage(store, 'x:1', { layers });
    const [a, b, pipe] = [join(dir, 'a.tar'), join(dir, 'b.tar'), join(dir, 'pipe')];
    await copy('x:1', `oci-archive:${a}`, { in: store });
    await must('mkfifo', [pipe]);
    const reader = spawn('sh', ['-c', `cat ${pipe} > ${b}`]);
    const read = new Promise((resolve) => reader.on('close', resolve));
    await copy('x:1', `oci-archive:${pipe}`, { in: store });
    await read;
    expect((await readFile(a)).equals(await readFile(b))).toBe(true);
    await skopeoReadsAll(`oci-archive:${a}:x:1`, dir);

    const writer = spawn('sh', ['-c', `cat ${a} > ${pipe}`]);
    const written = new Promise((resolve) => writer.on('close', resolve));
    expect((await copy(`oci-archive:${pipe}`, `oci:${dir}/one`)).descriptor.digest).toBe(digest);
    await written;
    await must('gzip', ['-k', a]);
    await must('zstd', ['-q', a]);
    for (const suffix of ['gz', 'zst'])
      expect((await copy(`oci-archive:${a}.${suffix}`, `oci:${dir}/${suffix}`)).descriptor.digest).toBe(digest);
  });

  test('without the content that another image has goes only where that is', async () => {
    const { saveImages } = await import('../../../../src/registry/archive/save.js');
    const [store, dir] = [await testStore(), await testDir()];
    const common = { big: randomBytes(100_000) };
    await tagSmallImage(store, 'k8s:v1', { layers: [common] });
    const { digest } = await tagSmallImage(store, 'k8s:v2', { layers: [common, { more: 'new' }] });
    await saveImages(store, ['k8s:v2'], join(dir, 'delta.tar'), { since: ['k8s:v1'] });
    await copy('k8s:v1', `oci:${dir}/there`, { in: store });
    expect((await copy(`oci-archive:${dir}/delta.tar`, `oci:${dir}/there`)).descriptor.digest).toBe(digest);
    await skopeoReadsAll(`oci:${dir}/there:k8s:v2`, dir);
    await expect(copy(`oci-archive:${dir}/delta.tar`, `oci:${dir}/elsewhere`)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('holds only what k8s:v1@'),
    });
  });
});

describe('a docker archive', () => {
  /** As docker 1.10 to 24 write it: a directory for each layer, those that are equal as links. */
  async function oldStyle(
    dir: string,
  ): Promise<{ readonly file: string; readonly config: string; readonly digest: string }> {
    const store = await testStore();
    const { digest } = await tagSmallImage(store, 'x:1', {
      layers: [{ a: randomBytes(200_000) }, { b: 'b' }, { c: 'c' }],
    });
    await copy('x:1', `docker-archive:${dir}/new.tar`, { in: store });
    const work = join(dir, 'work');
    await mkdir(work);
    await must('tar', ['-xf', join(dir, 'new.tar'), '-C', work]);
    const [entry] = JSON.parse(await readFile(join(work, 'manifest.json'), 'utf8')) as {
      Config: string;
      Layers: string[];
    }[];
    if (entry === undefined) throw new Error('no entry');
    const Layers: string[] = [];
    for (const [index, layer] of entry.Layers.entries()) {
      const id = `${index}`.repeat(64);
      await mkdir(join(work, id));
      await writeFile(join(work, id, 'VERSION'), '1.0');
      await writeFile(join(work, id, 'json'), '{}');
      if (index === 1) {
        await mkdir(join(work, 'f'.repeat(64)));
        await rename(join(work, layer), join(work, 'f'.repeat(64), 'layer.tar'));
        await symlink(`../${'f'.repeat(64)}/layer.tar`, join(work, id, 'layer.tar'));
      } else await rename(join(work, layer), join(work, id, 'layer.tar'));
      Layers.push(`${id}/layer.tar`);
    }
    await writeFile(join(work, 'manifest.json'), JSON.stringify([{ Config: entry.Config, RepoTags: ['x:1'], Layers }]));
    await writeFile(join(work, 'repositories'), '{"x":{"1":"0"}}');
    await must('tar', ['-cf', join(dir, 'old.tar'), '-C', work, '.']);
    return { file: join(dir, 'old.tar'), config: await readFile(join(work, entry.Config), 'utf8'), digest };
  }

  test('of an old docker is read: directories of layers, links, what lies beside', async () => {
    const dir = await testDir();
    const { file, config } = await oldStyle(dir);
    await copy(`docker-archive:${file}:docker.io/library/x:1`, `oci:${dir}/layout`);
    expect(await skopeoConfig(`oci:${dir}/layout:x:1`)).toBe(config);
    await skopeoReadsAll(`oci:${dir}/layout:x:1`, dir);
    const store = await testStore();
    expect(await loadArchive(store, file)).toMatchObject([{ name: 'x:1' }]);
    expect(await loadArchive(await testStore(), createReadStream(file))).toEqual(await loadArchive(store, file));
  });

  test('is written in one pass into a file, and to a pipe, in the same bytes', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const layers = [{ a: randomBytes(700_000) }, { b: 'b' }, { a: 'again' }];
    await tagSmallImage(store, 'x:1', { layers });
    const { config, manifest } = await readImage(store, 'x:1');
    let opened = 0;
    const open = store.blobs.open.bind(store.blobs);
    store.blobs.open = (digest, range) => {
      if (digest === manifest.layers[0]?.digest) opened++;
      return open(digest, range);
    };
    await copy('x:1', `docker-archive:${dir}/x.tar`, { in: store });
    expect(opened).toBe(1);
    const pipe = join(dir, 'pipe');
    await must('mkfifo', [pipe]);
    const reader = spawn('sh', ['-c', `cat ${pipe} > ${dir}/piped.tar`]);
    const read = new Promise((resolve) => reader.on('close', resolve));
    await copy('x:1', `docker-archive:${pipe}`, { in: store });
    await read;
    expect((await readFile(join(dir, 'x.tar'))).equals(await readFile(join(dir, 'piped.tar')))).toBe(true);
    const names = (await must('tar', ['-tf', join(dir, 'x.tar')])).trim().split('\n');
    expect(names).toEqual([
      ...config.rootfs.diff_ids.map((diffId) => `${diffId.slice(7)}.tar`),
      `${manifest.config.digest.slice(7)}.json`,
      'manifest.json',
    ]);
  });

  test('has a layer only once, however it is compressed, and no garbage behind its end', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const layers = [{ a: randomBytes(50_000) }];
    const { manifest, config } = await readImage(store, await named(store, await putImage(store, { layers })));
    const [layer] = manifest.layers;
    if (layer === undefined) throw new Error('no layer');
    const { gunzipSync } = await import('node:zlib');
    const plain = await store.putBlob(gunzipSync(await store.readBlob(layer, 1e6)));
    const twice = await store.putBlob(
      Buffer.from(JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: [plain.digest, plain.digest] } })),
    );
    for (const [index, order] of [
      [layer, { mediaType: MEDIA.layerTar, ...plain }],
      [{ mediaType: MEDIA.layerTar, ...plain }, layer],
    ].entries()) {
      const image = await putDocument(store, {
        schemaVersion: 2,
        mediaType: MEDIA.manifest,
        config: { mediaType: MEDIA.config, ...twice },
        layers: order,
      });
      await store.tag('twice:1', image);
      const file = join(dir, `${index}.tar`);
      await copy('twice:1', `docker-archive:${file}`, { in: store });
      const listed = (await must('tar', ['-tf', file])).trim().split('\n');
      expect(listed).toEqual([`${plain.digest.slice(7)}.tar`, `${twice.digest.slice(7)}.json`, 'manifest.json']);
      expect((await readFile(file)).length % 512).toBe(0);
      expect(Number((await must('stat', ['-c', '%s', file])).trim())).toBeLessThan(60_000);
      await skopeoReadsAll(`docker-archive:${file}`, dir);
    }
  });

  test('cannot hold an index, an artifact, or a digest', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const place = `docker-archive:${dir}/x.tar`;
    await tagSmallImage(store, 'x:1');
    const blob = await store.putBlob(Buffer.from('{}'));
    const chart = await putDocument(store, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: 'application/vnd.cncf.helm.config.v1+json', ...blob },
      layers: [{ mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip', ...blob }],
    });
    await store.tag('chart:1', chart);
    await expect(copy('x:1', place, { in: store, all: true })).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(copy('x:1', place, { in: store, preserveDigests: true })).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('digest cannot be kept'),
    });
    await expect(copy('chart:1', place, { in: store })).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('helm'),
    });
    await expect(copy('x:1', `${place}:x@sha256:${'a'.repeat(64)}`, { in: store })).rejects.toMatchObject({
      code: 'E_USAGE',
    });
    expect(await readdir(dir)).toEqual([]);
    await copy('chart:1', `oci-archive:${dir}/x.tar`, { in: store });
    expect((await skopeoSees(`oci-archive:${dir}/x.tar`)).digest).toBe(chart.digest);
  });

  test('whose layer is not that of its config is refused, in the store and elsewhere', async () => {
    const dir = await testDir();
    const { file } = await oldStyle(dir);
    const work = join(dir, 'work');
    await writeFile(join(work, '0'.repeat(64), 'layer.tar'), await readFile(file));
    await must('tar', ['-cf', file, '-C', work, '.']);
    for (const place of [`oci:${dir}/out`, `oci-archive:${dir}/out.tar`, `docker-archive:${dir}/out.tar`])
      await expect(copy(`docker-archive:${file}`, place)).rejects.toMatchObject({ code: 'E_DIGEST_MISMATCH' });
    expect(await readdir(dir)).not.toContain('out.tar');
    await expect(readFile(join(dir, 'out/index.json'))).rejects.toThrow();
  });

  test('loses what makes a ClusterImage, and says so', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const annotations = { 'sealer.image.extension': '{"schemaVersion":"v1alpha1","type":"kube-installer"}' };
    await tagSmallImage(store, 'k8s:1', { annotations });
    const reporter = new RecordingReporter();
    await copy('k8s:1', `docker-archive:${dir}/x.tar`, { in: store, reporter });
    expect(reporter.warnings).toEqual([expect.stringContaining('loses launch commands')]);
    await copy('k8s:1', `oci-archive:${dir}/y.tar`, { in: store, reporter });
    expect(reporter.warnings).toHaveLength(1);
  });
});

async function named(store: Awaited<ReturnType<typeof testStore>>, image: Awaited<ReturnType<typeof putImage>>) {
  await store.tag('given:1', image);
  return 'given:1';
}

describe('a file', () => {
  test('of another kind is refused with what it is', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await copy('x:1', `oci-archive:${dir}/oci.tar`, { in: store });
    await copy('x:1', `docker-archive:${dir}/docker.tar`, { in: store });
    await writeFile(join(dir, 'text'), 'no archive');
    await writeFile(join(dir, 'empty'), '');
    await must('tar', ['-cf', join(dir, 'other.tar'), '-C', dir, 'text']);
    const fails = (place: string, error: object) => expect(copy(place, `oci:${dir}/out`)).rejects.toMatchObject(error);
    await fails(`docker-archive:${dir}/oci.tar`, {
      code: 'E_BAD_ARCHIVE',
      hint: expect.stringContaining('oci-archive:'),
    });
    await fails(`oci-archive:${dir}/docker.tar`, {
      code: 'E_BAD_ARCHIVE',
      hint: expect.stringContaining('docker-archive:'),
    });
    for (const kind of ['oci-archive', 'docker-archive']) {
      for (const name of ['text', 'empty', 'other.tar'])
        await fails(`${kind}:${dir}/${name}`, { code: 'E_BAD_ARCHIVE' });
      await fails(`${kind}:${dir}`, { code: 'E_USAGE', hint: expect.stringContaining('oci:') });
      await fails(`${kind}:${dir}/absent`, { code: 'E_NOT_FOUND', message: `there is no archive ${dir}/absent` });
    }
    expect(await readdir(dir)).not.toContain('out');
  });

  test.each(['oci-archive', 'docker-archive'])('%s that is cut off anywhere is refused', async (kind) => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1', { layers: [{ a: randomBytes(100_000) }, { b: 'b' }] });
    await copy('x:1', `${kind}:${dir}/x.tar`, { in: store });
    const bytes = await readFile(join(dir, 'x.tar'));
    const content = bytes.length - 1024;
    for (const length of [100, 512, 600, 2048, 50_000, 100_000, content - 600, content - 1500, content - 3000]) {
      await writeFile(join(dir, 'cut.tar'), bytes.subarray(0, length));
      await expect(copy(`${kind}:${dir}/cut.tar`, `oci:${dir}/out`)).rejects.toMatchObject({ code: 'E_BAD_ARCHIVE' });
    }
    await expect(readFile(join(dir, 'out/index.json'))).rejects.toThrow();
  });

  test('made for the attack: paths that leave, links that lead out or in a circle, two of one name, great claims', async () => {
    const dir = await testDir();
    const secret = join(dir, 'secret');
    await writeFile(secret, 'secret');
    const oci = { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' };
    const index = (digest: string, size: number) => ({
      name: 'index.json',
      content: JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType: MEDIA.manifest, digest, size }] }),
    });
    const hex = 'a'.repeat(64);
    const fails = async (code: string | RegExp, ...members: readonly RawMember[]): Promise<void> => {
      await writeFile(join(dir, 'x.tar'), rawTar(...members));
      const kind = members.some(({ name }) => name === 'manifest.json') ? 'docker-archive' : 'oci-archive';
      await expect(copy(`${kind}:${dir}/x.tar`, `oci:${dir}/out`)).rejects.toMatchObject({
        code: typeof code === 'string' ? code : expect.stringMatching(code),
      });
      // the same for whoever loads it, as a file and as a stream
      await expect(loadArchive(await testStore(), join(dir, 'x.tar'))).rejects.toMatchObject({
        code: expect.any(String),
      });
      await expect(loadArchive(await testStore(), createReadStream(join(dir, 'x.tar')))).rejects.toMatchObject({
        code: expect.any(String),
      });
    };
    await fails('E_UNSAFE_ARCHIVE', oci, { name: '../../etc/x', content: 'x' });
    await fails('E_UNSAFE_ARCHIVE', oci, { name: 'blobs/sha256/../../../x', content: 'x' });
    await fails('E_BAD_ARCHIVE', oci, { name: 'index.json', type: '2', link: secret });
    await fails('E_BAD_ARCHIVE', oci, index(`sha256:${hex}`, 6), {
      name: `blobs/sha256/${hex}`,
      type: '2',
      link: secret,
    });
    await fails('E_BAD_ARCHIVE', oci, index(`sha256:${hex}`, 6), {
      name: `blobs/sha256/${hex}`,
      type: '2',
      link: `../../../../../../../..${secret}`,
    });
    await fails(
      'E_BAD_ARCHIVE',
      oci,
      { name: 'index.json', type: '2', link: 'b' },
      { name: 'b', type: '2', link: 'index.json' },
    );
    await fails('E_BAD_ARCHIVE', oci, index(`sha256:${hex}`, 6), {
      name: `blobs/sha256/${hex}`,
      type: '3',
      device: [1, 5],
    });
    await fails('E_DIGEST_MISMATCH', oci, index(`sha256:${hex}`, 6), {
      name: `blobs/sha256/${hex}`,
      content: 'secret',
    });
    await fails(/E_BAD_ARCHIVE|E_UNSAFE_ARCHIVE/, oci, { name: 'index.json', size: 2 ** 33 - 1, content: '{}' });
    await fails('E_BAD_ARCHIVE', oci, index('sha256:../../etc/passwd', 6));
    await fails('E_BAD_ARCHIVE', { name: 'manifest.json', content: '[{"Config":"../secret","Layers":[]}]' });
    await fails('E_BAD_ARCHIVE', { name: 'manifest.json', content: '[{"Config":"/etc/passwd","Layers":[]}]' });
    await fails(
      'E_BAD_ARCHIVE',
      { name: 'manifest.json', content: '[{"Config":"c","Layers":[]}]' },
      { name: 'c', type: '2', link: secret },
    );
    await fails('E_BAD_ARCHIVE', { name: 'manifest.json', content: '{"not":"a list"}' });
    await fails(
      /E_INVALID_MANIFEST/,
      { name: 'manifest.json', content: '[{"Config":"c","Layers":[]}]' },
      { name: 'c', content: '{}' },
    );
    expect((await readdir(dir)).sort()).toEqual(['secret', 'x.tar']);
  });

  test('that is there already stays until the new one is complete, and nothing is left beside it', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    const broken = await putImage(store, { layers: [{ a: randomBytes(300_000) }] });
    await store.tag('broken:1', broken);
    const { manifest } = await readImage(store, 'broken:1');
    await writeFile(store.blobPath((manifest.layers[0] ?? manifest.config).digest), randomBytes(300_000));
    for (const kind of ['oci-archive', 'docker-archive']) {
      const file = join(dir, kind);
      await writeFile(file, 'precious');
      // as a killed copy leaves it, and something that only looks like that
      await writeFile(join(dir, `.${kind}.0123456789ab`), 'left');
      await writeFile(join(dir, `.${kind}.mine`), 'mine');
      await expect(copy('broken:1', `${kind}:${file}`, { in: store })).rejects.toMatchObject({
        code: expect.any(String),
      });
      expect(await readFile(file, 'utf8')).toBe('precious');
      expect((await readdir(dir)).filter((name) => name.includes(kind)).sort()).toEqual([`.${kind}.mine`, kind]);
      await copy('x:1', `${kind}:${file}`, { in: store });
      await skopeoReadsAll(`${kind}:${file}`, await testDir());
      expect((await readdir(dir)).filter((name) => name.includes(kind)).sort()).toEqual([`.${kind}.mine`, kind]);
    }
    for (const [place, code] of [
      [`oci-archive:${dir}/no/such/dir.tar`, 'E_NOT_FOUND'],
      [`oci-archive:${dirname(dir)}`, 'E_USAGE'],
      ['docker-archive:/proc/none', /E_/],
    ] as const)
      await expect(copy('x:1', place, { in: store })).rejects.toMatchObject({
        code: typeof code === 'string' ? code : expect.stringMatching(code),
      });
  });

  test('is not copied onto itself, however it is named', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await copy('x:1', `oci-archive:${dir}/x.tar`, { in: store });
    await copy('x:1', `oci:${dir}/layout:x`, { in: store });
    await symlink(join(dir, 'x.tar'), join(dir, 'link.tar'));
    await symlink(join(dir, 'layout'), join(dir, 'linked'));
    for (const [from, to] of [
      [`oci-archive:${dir}/x.tar`, `oci-archive:${dir}/link.tar`],
      [`oci-archive:${dir}/x.tar`, `docker-archive:${dir}/../${dir.split('/').at(-1)}/x.tar`],
      [`oci:${dir}/layout:x`, `oci:${dir}/linked:x`],
      [`oci:${dir}/layout:x`, `oci:${dir}/layout`],
      ['x:1', 'store:x:1'],
      ['x:1', 'store:'],
      ['docker://busybox', 'docker://docker.io/library/busybox:latest'],
    ] as const)
      await expect(copy(from, to, { in: store })).rejects.toMatchObject({
        code: 'E_USAGE',
        message: expect.stringContaining('source and destination are the same'),
      });
    await copy(`oci:${dir}/layout:x`, `oci:${dir}/layout:y`);
    await copy('x:1', 'store:y:1', { in: store });
  });
});

test('what skopeo calls a docker archive is one for us, whatever is in it', async () => {
  const [store, dir] = [await testStore(), await testDir()];
  await tagSmallImage(store, 'x:1', { layers: [{ a: 'a' }, { b: 'b' }, { a: 'a' }] });
  await skopeoCopy(
    `oci:${store.root}:x:1`,
    `docker-archive:${dir}/x.tar:host.example/x:1`,
    '--additional-tag',
    'host.example/y:2',
  );
  await copy(`docker-archive:${dir}/x.tar:host.example/y:2`, `docker-archive:${dir}/y.tar`);
  expect(await skopeoConfig(`docker-archive:${dir}/y.tar:host.example/y:2`)).toBe(
    await skopeoConfig(`oci:${store.root}:x:1`),
  );
});

describe('a disk that is full', () => {
  test.each(['oci', 'oci-archive', 'docker-archive'])('is said at once, and %s is as it was', async (kind) => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'small:1');
    await tagSmallImage(store, 'big:1', { layers: [{ a: randomBytes(3_000_000) }, { b: 'b' }] });
    const disk = join(dir, 'disk');
    await mkdir(disk);
    await must('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
    try {
      const place = `${kind}:${disk}/x:x:1`;
      await copy('small:1', place, { in: store });
      const seen = await skopeoConfig(place);
      await expect(copy('big:1', place, { in: store })).rejects.toMatchObject({ code: 'E_NO_SPACE' });
      expect(await skopeoConfig(place)).toBe(seen);
      expect(await readdir(disk)).toEqual(['x']);
      // there is room again
      await must('mount', ['-o', 'remount,size=20m', disk]);
      await copy('big:1', place, { in: store });
      await skopeoReadsAll(place, dir);
      expect((await readdir(disk)).sort()).toEqual(['x']);
    } finally {
      await must('umount', [disk]);
    }
  });
});
