import { SlipwayError } from '../../base/errors.js';
import { type Digest, hexOf } from '../../image/digest.js';
import { compressionOf } from '../../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor } from '../../image/oci.js';
import type { Platform } from '../../image/platform.js';
import { openLayerStream } from '../../layers/layer-stream.js';
import { TAR_BLOCK, tarPadding, writeTarHeader } from '../../layers/tar-header.js';
import type { PackEntry } from '../../layers/toc.js';
import { type LocalImage, readImageAt } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import { type NamedImage, reachable } from './archive-image.js';

/** One image of `manifest.json`; docker's image/tarexport. */
interface ArchiveEntry {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/**
 * A `docker load` archive: `manifest.json`, configs, and layers as uncompressed tars named by their diffID. An index stands for its image
 * for `platform` (default this machine's): the format knows no others.
 * @throws SlipwayError (while it is read) E_NOT_FOUND, E_DIGEST_MISMATCH, E_UNSUPPORTED for layers that are no tars.
 */
export async function* dockerArchive(
  store: Store,
  images: readonly NamedImage[],
  platform: Platform | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const read: LocalImage[] = [];
  for (const { name, descriptor } of images) {
    const image = await readImageAt(store, name, descriptor, platform);
    await reachable(store, image); // all of it is here, or nothing is begun
    read.push(image);
  }
  const there = new Set<string>();
  const entries: ArchiveEntry[] = [];
  for (const { name, manifest, config } of read) {
    const layers: string[] = [];
    for (const [index, diffId] of config.rootfs.diff_ids.entries()) {
      const layer = manifest.layers[index];
      if (layer === undefined) continue; // readImageAt has compared the lengths
      const file = `${hexOf(diffId)}.tar`;
      if (!there.has(file)) yield* layerMember(store, layer, diffId, file, name);
      there.add(file);
      layers.push(file);
    }
    const configFile = `${hexOf(manifest.config.digest)}.json`;
    if (!there.has(configFile)) yield* member(configFile, await store.readBlob(manifest.config, CONFIG_LIMIT));
    there.add(configFile);
    const tags = name.includes('@') ? [] : [name];
    const known = entries.findIndex((entry) => entry.Config === configFile && entry.Layers.join() === layers.join());
    const other = entries[known];
    // one image with two names is one entry, as docker writes it
    if (other !== undefined) entries[known] = { ...other, RepoTags: [...(other.RepoTags ?? []), ...tags] };
    else entries.push({ Config: configFile, RepoTags: tags.length === 0 ? null : tags, Layers: layers });
  }
  yield* member('manifest.json', Buffer.from(JSON.stringify(entries)));
  yield Buffer.alloc(2 * TAR_BLOCK);
}

/** A tar header comes before the content and says its size: a compressed layer is read once to learn it, and again to be written. */
async function* layerMember(
  store: Store,
  layer: Descriptor,
  diffId: Digest,
  file: string,
  name: string,
): AsyncGenerator<Uint8Array, void, void> {
  const compression = compressionOf(layer.mediaType);
  if (compression === undefined) {
    throw new SlipwayError('E_UNSUPPORTED', `${name}: ${layer.mediaType} cannot be put into a docker archive`, {
      hint: 'save it with --format oci-archive',
    });
  }
  const open = () => openLayerStream(store.openBlob(layer.digest), compression);
  let { size } = layer;
  if (compression !== 'none') {
    const counted = open();
    for await (const _ of counted.tar) {
      // only its length and digest are wanted
    }
    size = counted.unpackedSize();
    if (counted.diffId() !== diffId) throw wrongDiffId(name, layer, diffId);
  }
  const content = open();
  yield* header(file, size);
  yield* content.tar;
  yield Buffer.alloc(tarPadding(size));
  if (content.diffId() !== diffId) throw wrongDiffId(name, layer, diffId);
}

function* member(path: string, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  yield* header(path, bytes.byteLength);
  yield bytes;
  yield Buffer.alloc(tarPadding(bytes.byteLength));
}

function* header(path: string, size: number): Generator<Uint8Array, void, void> {
  const entry: PackEntry = { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size, mtime: 0 };
  const block = Buffer.alloc(TAR_BLOCK);
  const extended = writeTarHeader(block, 0, entry, 0);
  if (extended !== undefined) yield extended;
  yield block;
}

function wrongDiffId(name: string, { digest }: Descriptor, diffId: Digest): SlipwayError {
  return new SlipwayError('E_DIGEST_MISMATCH', `${name}: layer ${digest} does not unpack to ${diffId}`, {
    hint: 'the image is damaged: pull or build it again',
  });
}
