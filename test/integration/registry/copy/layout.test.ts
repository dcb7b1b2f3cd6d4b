import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../../../src/image/digest.js';
import type { Descriptor } from '../../../../src/image/oci.js';
import { Blobs } from '../../../../src/store/blobs.js';
import type { Store } from '../../../../src/store/store.js';
import { TempSpace } from '../../../../src/store/temp.js';
import { copy, skopeoCopy, skopeoReadsAll, skopeoSees } from '../support/copy.js';
import { putImage, tagSmallImage } from '../support/images.js';
import { must } from '../support/programs.js';
import { testDir, testStore } from '../support/server.js';

const indexOf = async (dir: string) =>
  JSON.parse(await readFile(join(dir, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations?: Record<string, string> }[];
  };
const namesIn = async (dir: string) =>
  (await indexOf(dir)).manifests.map(({ annotations }) => annotations?.['org.opencontainers.image.ref.name']);

/** At least one; the test fails otherwise. */
async function layersOf(store: Store, image: Descriptor): Promise<[Digest, Digest]> {
  const { layers } = JSON.parse((await store.readBlob(image, 1e6)).toString()) as { layers: Descriptor[] };
  const [first, second = first] = layers.map(({ digest }) => digest);
  if (first === undefined || second === undefined) throw new Error('no layers');
  return [first, second];
}

describe('a layout', () => {
  test('gets images beside what others have put there, and only its own name is replaced', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const one = await tagSmallImage(store, 'one:1');
    await tagSmallImage(store, 'two:1');
    const layout = join(dir, 'layout');
    await skopeoCopy(`oci:${store.root}:one:1`, `oci:${layout}:theirs`);
    await skopeoCopy(`oci:${store.root}:two:1`, `oci:${layout}`); // without a name
    const before = await readFile(join(layout, 'oci-layout'), 'utf8');
    await copy('two:1', `oci:${layout}:ours`, { in: store });
    await copy('one:1', `oci:${layout}:ours`, { in: store });
    expect(await namesIn(layout)).toEqual(['theirs', undefined, 'ours']);
    expect((await skopeoSees(`oci:${layout}:ours`)).digest).toBe(one.digest);
    for (const name of ['theirs', 'ours']) await skopeoReadsAll(`oci:${layout}:${name}`, dir);
    expect(await readFile(join(layout, 'oci-layout'), 'utf8')).toBe(before);
    expect((await readdir(layout)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    // umoci is another reader of what is there now
    expect(await must('umoci', ['ls', '--layout', layout])).toContain('ours');
  });

  test('has the names of the sources when none are given', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, '127.0.0.1:5000/k8s/one:v1');
    await tagSmallImage(store, 'two:latest');
    for (const name of ['127.0.0.1:5000/k8s/one:v1', 'two']) await copy(name, `oci:${dir}`, { in: store });
    expect(await namesIn(dir)).toEqual(['127.0.0.1:5000/k8s/one:v1', 'two:latest']);
    await skopeoReadsAll(`oci:${dir}:127.0.0.1:5000/k8s/one:v1`, dir);
    const there = await testStore();
    for (const name of ['127.0.0.1:5000/k8s/one:v1', 'two']) await copy(`oci:${dir}:${name}`, 'store:', { in: there });
    expect((await there.images()).map(({ name }) => name)).toEqual(['127.0.0.1:5000/k8s/one:v1', 'two:latest']);
  });

  test.each(['oci', 'oci-archive'])('%s does not take a name that others could not read', async (transport) => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    for (const name of ['a b', '@0', 'x::1', '/x', 'x/', 'ü'])
      await expect(copy('x:1', `${transport}:${dir}/new:${name}`, { in: store })).rejects.toMatchObject({
        code: 'E_INVALID_REFERENCE',
      });
    expect(await readdir(dir)).toEqual([]);
    for (const name of ['v1', 'a/b:1', 'localhost:5000/a--b_c:1.0-rc.1', `x@sha256:${'a'.repeat(64)}`]) {
      await copy('x:1', `${transport}:${dir}/new:${name}`, { in: store });
      await skopeoReadsAll(`${transport}:${dir}/new:${name}`, await testDir());
    }
  });

  test('that was killed at its first byte is completed', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await writeFile(join(dir, 'oci-layout'), '');
    await copy('x:1', `oci:${dir}`, { in: store });
    expect(await must('umoci', ['ls', '--layout', dir])).toContain('x:1');
  });

  test('keeps an image without a name, once', async () => {
    const [store, dir, other] = [await testStore(), await testDir(), await testDir()];
    await tagSmallImage(store, 'x:1');
    await skopeoCopy(`oci:${store.root}:x:1`, `oci:${dir}/nameless`);
    await copy(`oci:${dir}/nameless`, `oci:${other}`);
    await copy(`oci:${dir}/nameless`, `oci:${other}`);
    expect(await namesIn(other)).toEqual([undefined]);
    await copy(`oci:${other}`, `oci:${other}:named`);
    expect(await namesIn(other)).toEqual([undefined, 'named']);
    await copy(`oci:${other}:@0`, `oci-archive:${dir}/x.tar:n`);
    await skopeoReadsAll(`oci-archive:${dir}/x.tar:n`, dir);
    await expect(copy(`oci:${other}:@0`, 'store:', { in: store })).rejects.toMatchObject({
      code: 'E_USAGE',
      hint: 'say which it is to have: store:NAME',
    });
  });

  test('of which nothing has to be copied again: two layouts, several copies at the same time', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const big = { big: randomBytes(3_000_000) };
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) await tagSmallImage(store, `${name}:1`, { layers: [big, { name }] });
    await Promise.all(names.map((name) => copy(`${name}:1`, `oci:${dir}/all`, { in: store })));
    expect((await namesIn(join(dir, 'all'))).sort()).toEqual(names.map((name) => `${name}:1`));
    for (const name of names) await skopeoReadsAll(`oci:${dir}/all:${name}:1`, dir);
    expect((await copy('a:1', `oci:${dir}/all:again`, { in: store })).copied).toBe(0);
    expect((await readdir(join(dir, 'all'))).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  test('that has a large part of a blob from before gets only the rest', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const content = randomBytes(2_000_000);
    const image = await tagSmallImage(store, 'x:1', { layers: [{ content }] });
    await copy('x:1', `oci:${dir}:first`, { in: store });
    const [layer] = await layersOf(store, image);
    // as a killed copy leaves it
    const blob = join(dir, 'blobs/sha256', layer.slice(7));
    const bytes = await readFile(blob);
    const partial = join(dir, '.slipway-tmp', `partial-${layer.slice(7)}`);
    await mkdir(partial, { recursive: true });
    await writeFile(join(partial, 'content'), bytes.subarray(0, 1_500_000));
    await rm(blob);
    let asked = -1;
    const source = store.blobs.open.bind(store.blobs);
    store.blobs.open = (digest, range) => {
      if (digest === layer) asked = range?.start ?? 0;
      return source(digest, range);
    };
    await copy('x:1', `oci:${dir}:first`, { in: store });
    expect(asked).toBe(1_500_000);
    expect((await readFile(blob)).equals(bytes)).toBe(true);
    expect((await readdir(dir)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  test('takes nothing of an image that cannot be copied whole, and its names stay', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    await tagSmallImage(store, 'good:1');
    await copy('good:1', `oci:${dir}:good`, { in: store });
    const index = await readFile(join(dir, 'index.json'), 'utf8');
    const broken = await putImage(store, { layers: [{ a: randomBytes(400_000) }, { b: 'b' }] });
    await store.tag('broken:1', broken);
    const [, second] = await layersOf(store, broken);
    await store.blobs.remove(second);
    await expect(copy('broken:1', `oci:${dir}:good`, { in: store })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await readFile(join(dir, 'index.json'), 'utf8')).toBe(index);
    await skopeoReadsAll(`oci:${dir}:good`, dir);
    // what is damaged at the source is not taken over
    const damaged = await tagSmallImage(store, 'damaged:1', { layers: [{ a: randomBytes(400_000) }] });
    const [layer] = await layersOf(store, damaged);
    await writeFile(store.blobPath(layer), randomBytes((await store.blobSize(layer)) ?? 0));
    await expect(copy('damaged:1', `oci:${dir}/new:x`, { in: store })).rejects.toMatchObject({
      code: 'E_DIGEST_MISMATCH',
    });
    expect(await readdir(join(dir, 'new'))).not.toContain('index.json');
  });
});

describe('a directory that is', () => {
  const refused = async (place: string, as: 'source' | 'destination', error: object): Promise<void> => {
    const store = await testStore();
    await tagSmallImage(store, 'x:1');
    const work = as === 'source' ? copy(place, 'store:y:1', { in: store }) : copy('x:1', place, { in: store });
    await expect(work).rejects.toMatchObject(error);
  };

  test('missing, empty, a file, or something else, is no source', async () => {
    const dir = await testDir();
    await writeFile(join(dir, 'file'), '');
    await refused(`oci:${dir}/none`, 'source', { code: 'E_NOT_FOUND', message: `there is no directory ${dir}/none` });
    await refused(`oci:${dir}`, 'source', { code: 'E_BAD_ARCHIVE', message: expect.stringContaining('no index.json') });
    await refused(`oci:${dir}/file`, 'source', { code: 'E_USAGE', hint: expect.stringContaining('oci-archive:') });
    await writeFile(join(dir, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
    await refused(`oci:${dir}`, 'source', { code: 'E_NOT_FOUND', message: expect.stringContaining('no image') });
    await writeFile(join(dir, 'index.json'), '{"manifests":');
    await refused(`oci:${dir}`, 'source', {
      code: 'E_BAD_ARCHIVE',
      message: expect.stringContaining('not valid JSON'),
    });
  });

  test('not empty and no layout, a store, a file, or damaged, is no destination', async () => {
    const dir = await testDir();
    await writeFile(join(dir, 'file'), 'mine');
    await refused(`oci:${dir}`, 'destination', { code: 'E_USAGE', message: expect.stringContaining('is not empty') });
    await refused(`oci:${dir}/file`, 'destination', { code: 'E_USAGE', hint: expect.stringContaining('oci-archive:') });
    expect(await readdir(dir)).toEqual(['file']);
    const other = await testStore();
    await tagSmallImage(other, 'x:1');
    await refused(`oci:${other.root}:y`, 'destination', {
      code: 'E_USAGE',
      hint: expect.stringContaining('store:NAME'),
    });
    await mkdir(join(dir, 'damaged'));
    await writeFile(join(dir, 'damaged/oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(dir, 'damaged/index.json'), '{}');
    await refused(`oci:${dir}/damaged`, 'destination', { code: 'E_STORE' });
    await writeFile(join(dir, 'damaged/oci-layout'), '{"imageLayoutVersion":"2.0.0"}');
    await refused(`oci:${dir}/damaged`, 'destination', { code: 'E_UNSUPPORTED' });
  });

  test('made for the attack: FIFOs, devices, links and sizes where files should be', async () => {
    const [store, dir] = [await testStore(), await testDir()];
    const image = await tagSmallImage(store, 'x:1');
    const layout = join(dir, 'layout');
    const fresh = async (): Promise<void> => {
      await rm(layout, { recursive: true, force: true });
      await copy('x:1', `oci:${layout}:x`, { in: store });
    };
    const blob = join(layout, 'blobs/sha256', image.digest.slice(7));
    const fails = (code: string) => expect(copy(`oci:${layout}:x`, `oci:${dir}/out:x`)).rejects.toMatchObject({ code });

    await fresh();
    await rm(join(layout, 'index.json'));
    await must('mkfifo', [join(layout, 'index.json')]);
    await fails('E_BAD_ARCHIVE');
    await rm(join(layout, 'index.json'));
    await symlink('/dev/zero', join(layout, 'index.json'));
    await fails('E_BAD_ARCHIVE');
    await rm(join(layout, 'index.json'));
    await must('truncate', ['-s', '1G', join(layout, 'index.json')]);
    await fails('E_BAD_ARCHIVE');
    await fresh();
    await rm(blob);
    await must('mkfifo', [blob]);
    await fails('E_BAD_ARCHIVE');
    await rm(blob);
    // Nothing outside of the layout is read.
    await symlink('/etc/passwd', blob);
    await fails('E_BAD_ARCHIVE');
    const index = await indexOf(layout);
    for (const [change, code] of [
      [{ digest: 'sha256:../../../etc/passwd' }, 'E_BAD_ARCHIVE'],
      [{ size: 5_000_000_000 }, 'E_SIZE_MISMATCH'],
      [{ size: -1 }, 'E_BAD_ARCHIVE'],
    ] as const) {
      await fresh();
      const manifests = index.manifests.map((entry) => ({ ...entry, ...change }));
      await writeFile(join(layout, 'index.json'), JSON.stringify({ ...index, manifests }));
      await fails(code);
    }
    // a manifest larger than any
    await fresh();
    await must('truncate', ['-s', '5M', blob]);
    const manifests = index.manifests.map((entry) => ({ ...entry, size: 5 * 1024 * 1024 }));
    await writeFile(join(layout, 'index.json'), JSON.stringify({ ...index, manifests }));
    await fails('E_BAD_ARCHIVE');
    await expect(stat(join(dir, 'out/index.json'))).rejects.toThrow();
  });
});

test('a space for unfinished work that somebody takes away meanwhile is made again', async () => {
  const dir = await testDir();
  const root = join(dir, 'tmp');
  const spaces = Array.from({ length: 4 }, () => new TempSpace(root));
  for (let round = 0; round < 4; round++) {
    await Promise.all(
      spaces.map(async (space, index) => {
        const blobs = new Blobs(join(dir, 'blobs'), space);
        await blobs.put(Buffer.from(`${round} ${index}`));
        await space.leave();
      }),
    );
  }
  expect(await readdir(dir)).toEqual(['blobs']);
  expect(await readdir(join(dir, 'blobs/sha256'))).toHaveLength(16);
});
