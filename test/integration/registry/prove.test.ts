import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Digest } from '../../../src/image/digest.js';
import { MEDIA } from '../../../src/image/media-types.js';
import { encodeJson } from '../../../src/image/oci.js';
import { saveImages } from '../../../src/registry/archive/save.js';
import { pushImage } from '../../../src/registry/push.js';
import { PARTIAL_CONTENT, partialName } from '../../../src/store/partial-names.js';
import { Store } from '../../../src/store/store.js';
import { mustSlipway, slipway } from '../../support/slipway.js';
import { tempDirectory } from '../../support/temp.js';
import { rawTar } from '../../unit/layers/raw-tar.js';
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.js';

const home = tempDirectory();
let registry: DockerRegistry;
let made: Store;
beforeAll(async () => {
  registry = await startDockerRegistry();
  made = await Store.open(join(home, 'made'));
});
afterAll(async () => {
  await made.close();
  await registry.close();
});

const sha256 = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
/** Bigger than what is read without a thread, and not to be compressed below that. */
const big = (name: string): Buffer => rawTar({ name, content: randomBytes(3_000_000) });
const small = (name: string): Buffer => rawTar({ name, content: 'text' });

interface Layer {
  readonly tar: Buffer;
  /** What the config says it is; default the truth. */
  readonly diffId?: string;
}

/** Pushes an image of these layers, which nobody has looked at yet, and saves it as an archive. */
async function publish(name: string, layers: readonly Layer[]): Promise<{ image: string; archive: string }> {
  const descriptors = [];
  for (const { tar } of layers)
    descriptors.push({ mediaType: MEDIA.layerGzip, ...(await made.putBlob(gzipSync(tar, { level: 1 }))) });
  const config = await made.putBlob(
    encodeJson({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: layers.map(({ tar, diffId }) => diffId ?? sha256(tar)) },
    }),
  );
  const manifest = await made.putBlob(
    encodeJson({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...config },
      layers: descriptors,
    }),
  );
  const image = `${registry.address}/prove/${name}:v1`;
  await made.tag(image, { mediaType: MEDIA.manifest, ...manifest });
  await pushImage(made, image);
  const archive = join(home, `${name}.tar`);
  await saveImages(made, [image], archive);
  return { image, archive };
}

let stores = 0;
const freshRoot = (): string => join(home, `store-${stores++}`);
const names = async (root: string): Promise<string> => mustSlipway(['images', '-q'], { root });

describe.each([
  ['of layers that a thread reads while they arrive', big],
  ['of layers that are read at the end', small],
])('an image %s', (_, tar) => {
  it('has its tables of contents once it is pulled or loaded, and is not read again', async () => {
    const layers = Array.from({ length: 9 }, (__, n) => ({ tar: tar(`file-${n}`) }));
    const { image, archive } = await publish(`whole-${tar.name}`, layers);
    for (const command of [
      ['pull', image],
      ['load', '-i', archive],
    ]) {
      const root = freshRoot();
      await mustSlipway(command, { root });
      const tocs = readdirSync(join(root, 'tocs')).sort();
      expect(tocs).toEqual(layers.map((layer) => `${sha256(layer.tar).slice(7)}.json.gz`).sort());
      const listed = await mustSlipway(['inspect', image, '--rootfs'], { root });
      for (let n = 0; n < 9; n++) expect(listed).toContain(`file-${n}`);
      expect(readdirSync(join(root, 'tmp'))).toEqual([]);
      expect((await slipway(['store', 'check'], { root })).code).toBe(0);
      // The blobs have been read: what is known of them is gone with them only.
      expect(readdirSync(join(root, 'cache/diff-ids'))).toHaveLength(9);
      await mustSlipway(['rmi', image], { root });
      await mustSlipway(['prune', '--all'], { root });
      expect(readdirSync(join(root, 'cache/diff-ids'))).toEqual([]);
    }
  });

  it('is read again where a power cut has spoilt what was noted of its layers', async () => {
    const layers = [{ tar: tar('one') }, { tar: tar('two') }];
    const { image } = await publish(`spoilt-${tar.name}`, layers);
    const root = freshRoot();
    await mustSlipway(['pull', image], { root });
    const notes = readdirSync(join(root, 'cache/diff-ids')).map((name) => join(root, 'cache/diff-ids', name));
    const noted = (): string[] => notes.map((note) => readFileSync(note, 'utf8'));
    const whole = noted();
    expect(whole.toSorted()).toEqual(layers.map((layer) => sha256(layer.tar)).sort());
    for (const spoilt of ['', '\0'.repeat(71), `${whole[0]}`.slice(0, 40)]) {
      for (const note of notes) writeFileSync(note, spoilt);
      expect(await slipway(['store', 'check', '--content'], { root })).toMatchObject({ code: 0 });
      await mustSlipway(['pull', image], { root });
      expect(noted()).toEqual(whole);
    }
  });

  it('gets no name when a layer is not what the config says', async () => {
    const { image, archive } = await publish(`lying-${tar.name}`, [
      { tar: tar('honest') },
      { tar: tar('other'), diffId: sha256(Buffer.from('something else')) },
    ]);
    for (const command of [
      ['pull', image],
      ['load', '-i', archive],
    ]) {
      const root = freshRoot();
      const { code, stderr } = await slipway(command, { root });
      expect(code).toBe(1);
      expect(stderr).toMatch(/error: .*prove\/lying-\w+:v1: layer [0-9a-f]{12}: .* the image's config says sha256:/);
      expect(stderr).toContain('hint: the image is damaged or was tampered with');
      expect(await names(root)).toBe('');
      // Again, now that the blobs are here.
      expect((await slipway(command, { root })).code).toBe(1);
      expect((await slipway(['store', 'check'], { root })).code).toBe(0);
    }
  });

  it('gets no name when a layer would be refused where it is unpacked', async () => {
    const bad = Buffer.concat([tar('before').subarray(0, -1024), rawTar({ name: '../outside', content: 'x' })]);
    const { image, archive } = await publish(`hostile-${tar.name}`, [{ tar: bad }]);
    for (const command of [
      ['pull', image],
      ['load', '-i', archive],
    ]) {
      const root = freshRoot();
      const { code, stderr } = await slipway(command, { root });
      expect(code).toBe(1);
      expect(stderr).toMatch(/layer [0-9a-f]{12}: refusing the archive: the path "..\/outside" leaves the root/);
      expect(await names(root)).toBe('');
    }
  });
});

it('what goes on where a pull was killed is proved as a whole', async () => {
  const tar = rawTar({ name: 'big', content: randomBytes(5_000_000) });
  const { image } = await publish('resumed', [{ tar }]);
  const root = freshRoot();
  const blob = gzipSync(tar, { level: 1 });
  const partial = join(root, 'tmp', partialName(sha256(blob) as Digest));
  mkdirSync(partial, { recursive: true });
  writeFileSync(join(partial, PARTIAL_CONTENT), blob.subarray(0, 3_000_000));
  await mustSlipway(['pull', image], { root });
  expect(readdirSync(join(root, 'tocs'))).toEqual([`${sha256(tar).slice(7)}.json.gz`]);

  // The beginning is not what it should be: all of it comes again, and what had been read of the other counts for nothing.
  const spoilt = freshRoot();
  const other = join(spoilt, 'tmp', partialName(sha256(blob) as Digest));
  mkdirSync(other, { recursive: true });
  writeFileSync(join(other, PARTIAL_CONTENT), randomBytes(3_000_000));
  await mustSlipway(['pull', image], { root: spoilt });
  expect(readdirSync(join(spoilt, 'tocs'))).toEqual([`${sha256(tar).slice(7)}.json.gz`]);
});
