import { rmdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isSlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import { CONFIG_LIMIT, type Descriptor, parseImageConfig } from '../image/oci.js';
import { cacheFiles } from './build-cache.js';
import { cacheMountDirectories } from './cache-mounts.js';
import { diskUsage } from './disk-usage.js';
import { knownImageFiles } from './known-images.js';
import { readDocument } from './local-image.js';
import type { Store } from './store.js';

/** A blob that the cache needs; a layer with what it unpacks to. */
export interface CachedBlob {
  readonly descriptor: Descriptor;
  readonly diffId?: Digest | undefined;
}

/** One thing of the build cache that is kept or dropped as a whole. */
export interface CacheItem {
  /** What an instruction made; what a container image's name stands for; what `RUN --mount=type=cache` keeps. */
  readonly kind: 'record' | 'image' | 'mount';
  /** A file, or the directory of a mount. */
  readonly path: string;
  /** Milliseconds since the epoch: when a build last asked for it, or made it. */
  readonly lastUsed: number;
  /** Bytes on the disk of the thing itself, without blobs. */
  readonly size: number;
  readonly blobs: readonly CachedBlob[];
  /** It cannot be read, or what it names cannot: of no use to any build. */
  readonly broken: boolean;
}

/** Everything that makes builds faster and nothing else, in no order. */
export async function cacheItems(store: Store): Promise<CacheItem[]> {
  const items: (CacheItem | undefined)[] = [];
  for (const { file, layers } of await cacheFiles(store))
    items.push(await item('record', file, layers ?? [], layers === undefined));
  for (const { file, known } of await knownImageFiles(store)) {
    const content = known === undefined ? undefined : await contentOf(store, known.descriptor);
    const indexes = (known?.indexes ?? []).map((descriptor) => ({ descriptor }));
    items.push(await item('image', file, [...(content ?? []), ...indexes], content === undefined));
  }
  for (const dir of await cacheMountDirectories(store)) items.push(await item('mount', dir, [], false));
  return items.flatMap((found) => (found === undefined ? [] : [found]));
}

/** Forgets a thing. Its blobs stay until a collection finds that nothing else needs them. Only for who has the store alone. */
export async function removeCacheItem(store: Store, { kind, path }: Pick<CacheItem, 'kind' | 'path'>): Promise<void> {
  await store.temp.discard(path);
  // Records of one parent share a directory, which goes with the last of them.
  if (kind === 'record') await rmdir(dirname(path)).catch(() => {});
}

/** @returns undefined when it has gone meanwhile. */
async function item(
  kind: CacheItem['kind'],
  path: string,
  blobs: readonly CachedBlob[],
  broken: boolean,
): Promise<CacheItem | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  return {
    kind,
    path,
    lastUsed: found.mtimeMs,
    size: found.isDirectory() ? await diskUsage([path]) : found.size,
    blobs,
    broken,
  };
}

/** The blobs of a container image; undefined when it is not here. */
async function contentOf(store: Store, descriptor: Descriptor): Promise<readonly CachedBlob[] | undefined> {
  try {
    const document = await readDocument(store, descriptor, descriptor.digest);
    if (document.kind === 'index') return undefined;
    const { config, layers } = document.manifest;
    const diffIds = await diffIdsOf(store, config);
    // Only what its name stands for was asked for so far: worth remembering by itself, and nothing else of it is missing.
    if (diffIds === undefined) return [{ descriptor }];
    // A build that was killed has fetched a part: what is missing comes when it is needed.
    return await present(store, [
      { descriptor },
      { descriptor: config },
      ...layers.map((layer, index) => ({ descriptor: layer, diffId: diffIds[index] })),
    ]);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    return undefined;
  }
}

async function present(store: Store, blobs: readonly CachedBlob[]): Promise<readonly CachedBlob[]> {
  const sizes = await Promise.all(blobs.map(({ descriptor }) => store.blobSize(descriptor.digest)));
  return blobs.filter((_, index) => sizes[index] !== undefined);
}

/** @returns undefined when the config is not here. */
async function diffIdsOf(store: Store, config: Descriptor): Promise<readonly Digest[] | undefined> {
  try {
    return parseImageConfig(await store.readBlob(config, CONFIG_LIMIT), config.digest).rootfs.diff_ids;
  } catch (error) {
    if (isSlipwayError(error, 'E_NOT_FOUND')) return undefined;
    if (!isSlipwayError(error, 'E_INVALID_MANIFEST')) throw error;
    return []; // an artifact
  }
}
