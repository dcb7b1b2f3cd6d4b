import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isSlipwayError } from '../base/errors.js';
import { removeTree } from '../base/remove-tree.js';
import { type Digest, hexOf, isDigest } from '../image/digest.js';
import { successors } from '../image/graph.js';
import { isIndexType, isManifestType } from '../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor, parseImageConfig } from '../image/oci.js';
import { cachedLayers, removeCacheRecords } from './build-cache.js';
import { removeCacheMounts } from './cache-mounts.js';
import { allKnownImages, forgetKnownImages } from './known-images.js';
import { readDocument } from './local-image.js';
import { mountedImages } from './mounts.js';
import type { Store } from './store.js';

/** What a collection removed. */
export interface Collected {
  readonly blobs: number;
  readonly layers: number;
  /** Caches of `RUN --mount=type=cache`. */
  readonly caches: number;
  readonly bytes: number;
}

export interface CollectOptions {
  /** Forget the build cache, the container images of builds, and what `RUN --mount=type=cache` has kept. */
  readonly buildCache?: boolean;
  /** How long to wait for others that use the store; default 0. */
  readonly waitSeconds?: number;
}

/** What the names, the mounts, the build cache and the remembered container images of a store reach. */
interface Reached {
  readonly blobs: Set<Digest>;
  readonly diffIds: Set<Digest>;
}

/**
 * Removes every blob, table of contents and unpacked layer that no name, mount, cache record or remembered container image reaches.
 * @returns undefined, and removes nothing, when another process uses the store at this moment.
 */
export function collect(
  store: Store,
  { buildCache = false, waitSeconds = 0 }: CollectOptions = {},
): Promise<Collected | undefined> {
  return store.exclusively(
    async () => {
      if (buildCache) {
        await removeCacheRecords(store);
        await forgetKnownImages(store);
      }
      const reached = await reach(store);
      const { caches, bytes } = buildCache ? await removeCacheMounts(store) : { caches: 0, bytes: 0 };
      const swept = { blobs: 0, layers: 0, caches, bytes };
      for (const algorithm of ['sha256', 'sha512'] as const) {
        for (const hex of await names(join(store.root, 'blobs', algorithm))) {
          const digest = `${algorithm}:${hex}`;
          if (!isDigest(digest) || reached.blobs.has(digest)) continue;
          swept.bytes += (await store.blobSize(digest)) ?? 0;
          await store.blobs.remove(digest);
          swept.blobs++;
        }
      }
      const hexes = new Set([...reached.diffIds].map(hexOf));
      for (const file of await names(join(store.root, 'tocs'))) {
        if (!hexes.has(file.split('.', 1)[0] ?? '')) await rm(join(store.root, 'tocs', file), { force: true });
      }
      for (const name of await names(join(store.root, 'data', 'overlay2'))) {
        if (hexes.has(name.split('.', 1)[0] ?? '')) continue;
        await removeTree(join(store.root, 'data', 'overlay2', name));
        swept.layers++;
      }
      return swept;
    },
    { waitSeconds },
  );
}

async function reach(store: Store): Promise<Reached> {
  const reached: Reached = { blobs: new Set(), diffIds: new Set() };
  for (const { descriptor } of await store.images()) await reachFrom(store, descriptor, reached);
  for (const descriptor of await mountedImages(store)) await reachFrom(store, descriptor, reached);
  for (const { descriptor, indexes } of await allKnownImages(store)) {
    await reachFrom(store, descriptor, reached);
    for (const { digest } of indexes) reached.blobs.add(digest); // other platforms that they name are not here
  }
  for (const { descriptor, diffId } of await cachedLayers(store)) {
    reached.blobs.add(descriptor.digest);
    reached.diffIds.add(diffId);
  }
  return reached;
}

async function reachFrom(store: Store, descriptor: Descriptor, reached: Reached): Promise<void> {
  if (reached.blobs.has(descriptor.digest)) return;
  reached.blobs.add(descriptor.digest);
  if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType)) return;
  let document: Awaited<ReturnType<typeof readDocument>>;
  try {
    document = await readDocument(store, descriptor, descriptor.digest);
  } catch (error) {
    // An index pulled for one platform names manifests that are not here; a damaged one is for `store check`, not for us.
    if (isSlipwayError(error)) return;
    throw error;
  }
  for (const next of successors(document)) await reachFrom(store, next, reached);
  if (document.kind === 'manifest') {
    try {
      const config = parseImageConfig(await store.readBlob(document.manifest.config, CONFIG_LIMIT), descriptor.digest);
      for (const diffId of config.rootfs.diff_ids) reached.diffIds.add(diffId);
    } catch (error) {
      if (!isSlipwayError(error)) throw error; // an artifact's config is not an image config: nothing unpacked belongs to it
    }
  }
}

async function names(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
