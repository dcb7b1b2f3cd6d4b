import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Store } from '../../../../src/store/store.js';
import { tempDirectory } from '../../../support/temp.js';
import { copy, skopeoConfig, skopeoCopy, skopeoReadsAll, skopeoSees } from '../support/copy.js';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.js';
import { putImage, putIndex } from '../support/images.js';

/** All places with skopeo as the one that wrote what we read, and as the one that reads what we wrote. */

const home = tempDirectory();
const NAME = 'host.example/team/x:7';
const [amd, arm] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
];
let registry: DockerRegistry;
let other: DockerRegistry;
let store: Store;
let image: string;
let index: string;
let config: string;

/** Where skopeo has put the image. */
const sources: Readonly<Record<string, () => string>> = {
  docker: () => `docker://${registry.address}/made/by/skopeo:1`,
  oci: () => `oci:${home}/theirs:${NAME}`,
  'oci-archive': () => `oci-archive:${home}/theirs.tar:${NAME}`,
  'docker-archive': () => `docker-archive:${home}/theirs-docker.tar:${NAME}`,
  store: () => 'store:x:1',
};

/** Where we put it, and what skopeo calls that place. */
const targets: Readonly<Record<string, (from: string) => { readonly ours: string; readonly theirs: string }>> = {
  docker: (from) => same(`docker://${other.address}/ours/${from}:1`),
  oci: (from) => same(`oci:${home}/ours:from-${from}`),
  'oci-archive': (from) => same(`oci-archive:${home}/ours-${from}.tar:v1`),
  'docker-archive': (from) => same(`docker-archive:${home}/ours-docker-${from}.tar:${NAME}`),
  store: (from) => ({ ours: `store:copied/${from}:1`, theirs: `oci:${store.root}:copied/${from}:1` }),
};
const same = (place: string) => ({ ours: place, theirs: place });

beforeAll(async () => {
  [registry, other, store] = await Promise.all([
    startDockerRegistry(),
    startDockerRegistry(),
    Store.open(join(home, 'store')),
  ]);
  const layers = [{ 'a/b': randomBytes(900_000) }, { c: 'small' }, { 'a/b': 'over' }];
  const one = await putImage(store, { layers, annotations: { kept: 'yes' } });
  const two = await putImage(store, { layers: [{ arm: 'arm' }], platform: arm });
  const both = await putIndex(store, [
    [amd, one],
    [arm, two],
  ]);
  await store.tag('x:1', one);
  await store.tag('both:1', both);
  [image, index] = [one.digest, both.digest];
  const own = `oci:${store.root}:x:1`;
  config = await skopeoConfig(own);
  for (const [transport, place] of Object.entries(sources)) if (transport !== 'store') await skopeoCopy(own, place());
  await skopeoCopy(`oci:${store.root}:both:1`, `docker://${registry.address}/made/by/skopeo:both`, '--all');
  await skopeoCopy(`oci:${store.root}:both:1`, `oci:${home}/theirs:both`, '--all');
  await skopeoCopy(`oci:${store.root}:both:1`, `oci-archive:${home}/theirs-both.tar:both`, '--all');
});
afterAll(async () => {
  await Promise.all([registry.close(), other.close(), store.close()]);
});

describe.each(Object.keys(sources))('from %s', (from) => {
  test.each(Object.keys(targets))('to %s', async (to) => {
    const [source, target] = [sources[from]?.() ?? '', targets[to]?.(from)];
    if (target === undefined) throw new Error(to);
    const usesStore = from === 'store' || to === 'store';
    const copied = await copy(source, target.ours, usesStore ? { in: store } : {});
    const seen = await skopeoSees(target.theirs);
    await skopeoReadsAll(target.theirs, home);
    expect(await skopeoConfig(target.theirs)).toBe(config);
    if (from === 'docker-archive') expect(copied.descriptor.digest).not.toBe(image);
    else expect(copied.descriptor.digest).toBe(image);
    if (to !== 'docker-archive') expect(seen.digest).toBe(copied.descriptor.digest);
    else {
      const { rootfs } = JSON.parse(config) as { rootfs: { diff_ids: string[] } };
      expect(seen.document.layers?.map(({ digest }) => digest)).toEqual(rootfs.diff_ids);
    }
  });
});

describe('of an index', () => {
  const from = {
    docker: () => `docker://${registry.address}/made/by/skopeo:both`,
    oci: () => `oci:${home}/theirs:both`,
    'oci-archive': () => `oci-archive:${home}/theirs-both.tar:both`,
    store: () => 'store:both:1',
  };
  const to = {
    docker: (kind: string) => same(`docker://${other.address}/both/${kind}:1`),
    oci: (kind: string) => same(`oci:${home}/both:${kind}`),
    'oci-archive': (kind: string) => same(`oci-archive:${home}/both-${kind}.tar:v1`),
    store: (kind: string) => ({ ours: `store:both/${kind}:1`, theirs: `oci:${store.root}:both/${kind}:1` }),
  };

  describe.each(Object.keys(from) as (keyof typeof from)[])('from %s', (source) => {
    test.each(Object.keys(to) as (keyof typeof to)[])('to %s everything is copied with --all', async (target) => {
      const { ours, theirs } = to[target](source);
      await copy(from[source](), ours, { in: store, all: true });
      expect((await skopeoSees(theirs)).digest).toBe(index);
      await skopeoReadsAll(theirs, home, '--all');
    });
  });

  test('one platform is chosen, this machine`s without being told', async () => {
    const place = `oci:${home}/chosen:v1`;
    expect((await copy(from.docker(), place, { platform: amd })).descriptor.digest).toBe(image);
    expect((await copy(from.docker(), place, { platform: arm })).through).toHaveLength(1);
    const { document } = await skopeoSees(place);
    expect(document.layers).toHaveLength(1);
    await expect(copy(from.oci(), place, { platform: { os: 'linux', architecture: 's390x' } })).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: 'choose one with --platform: linux/amd64, linux/arm64',
    });
  });
});
