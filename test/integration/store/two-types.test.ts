import { beforeEach, expect, it } from 'vitest';
import { MEDIA } from '../../../src/image/media-types.js';
import type { Descriptor } from '../../../src/image/oci.js';
import { saveImages } from '../../../src/registry/archive/save.js';
import { copyGraph } from '../../../src/registry/copy.js';
import { storeSource, storeTarget } from '../../../src/registry/store-content.js';
import { checkStore } from '../../../src/store/check/check.js';
import { collect } from '../../../src/store/collect.js';
import { readImage } from '../../../src/store/local-image.js';
import type { Store } from '../../../src/store/store.js';
import { putDocument, putImage } from '../registry/support/images.js';
import { testDir, testStore } from '../registry/support/server.js';

let store: Store;
let image: Descriptor;
/** The same bytes, which somebody calls something else. */
let blob: Descriptor;

beforeEach(async () => {
  store = await testStore();
  image = await putImage(store, { layers: [{ a: 'a' }] });
  blob = { ...image, mediaType: 'application/octet-stream' };
});

it('an image that another name calls a blob keeps what it needs', async () => {
  await store.tag('a:1', blob);
  await store.tag('b:1', image);
  expect(await collect(store)).toMatchObject({ blobs: 0 });
  expect((await checkStore(store)).report.damaged).toEqual([]);
  expect((await readImage(store, 'b:1')).manifest.layers).toHaveLength(1);
});

it('an image that one index calls a blob and another a manifest is copied, saved and kept whole', async () => {
  const inner = await putDocument(store, { schemaVersion: 2, mediaType: MEDIA.index, manifests: [image] });
  const outer = await putDocument(store, { schemaVersion: 2, mediaType: MEDIA.index, manifests: [blob, inner] });
  await store.tag('x:1', outer);
  expect(await collect(store)).toMatchObject({ blobs: 0 });
  const there = await testStore();
  await copyGraph(storeSource(store), storeTarget(there), outer);
  await there.tag('x:1', outer);
  const digests = async (of: Store) => (await of.listBlobs()).map(({ digest }) => digest).sort();
  expect(await digests(there)).toEqual(await digests(store));
  await saveImages(store, ['x:1'], `${await testDir()}/x.tar`);
});

it('an index that calls one thing by two types is an error that says so, and nothing is freed on its account', async () => {
  const index = await putDocument(store, { schemaVersion: 2, mediaType: MEDIA.index, manifests: [blob, image] });
  const mistake = {
    code: 'E_INVALID_MANIFEST',
    message: expect.stringContaining('as application/octet-stream and as'),
  };
  await expect(copyGraph(storeSource(store), storeTarget(await testStore()), index)).rejects.toMatchObject(mistake);
  await store.tag('x:1', index);
  await expect(readImage(store, 'x:1')).rejects.toMatchObject(mistake);
  await expect(collect(store)).rejects.toMatchObject({ code: 'E_STORE', hint: expect.stringContaining('rmi x:1') });
});
