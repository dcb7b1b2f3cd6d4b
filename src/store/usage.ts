import { join } from 'node:path';
import { isSlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import { cacheItems } from './cache-items.js';
import { type NamedBlob, reachAll } from './check/reach.js';
import { collect, DAMAGED_DIRECTORY } from './collect.js';
import { diskUsage } from './disk-usage.js';
import { imageMounts } from './mounts.js';
import { otherRoots } from './other-roots.js';
import type { Store } from './store.js';

/** What an image takes. */
export interface ImageUsage {
  readonly name: string;
  /** Bytes of all its blobs. */
  readonly size: number;
  /** Of these, what other images or the build cache need too. */
  readonly shared: number;
  /** What `rmi` would free. */
  readonly unique: number;
}

/** Where the space of a store goes, in bytes; the JSON of `slipway du`. */
export interface StoreUsage {
  readonly root: string;
  readonly total: number;
  /** Blobs that images need, each once. */
  readonly images: { readonly count: number; readonly bytes: number };
  /** Blobs that only the build cache needs; what `slipway prune --build-cache` frees. */
  readonly buildCache: { readonly count: number; readonly bytes: number };
  /** Blobs that nothing needs. */
  readonly unreferenced: { readonly count: number; readonly bytes: number };
  /** On the disk; made again when they are needed. */
  readonly unpackedLayers: { readonly bytes: number };
  /** Images that are mounted as copies, wherever these are. */
  readonly copies: { readonly count: number; readonly bytes: number };
  readonly tocs: { readonly bytes: number };
  /** The rest of `cache/`: digests of files, notes, cache mounts. */
  readonly otherCaches: { readonly bytes: number };
  /** Work of running commands and what killed ones left. */
  readonly tmp: { readonly bytes: number };
  /** What a repair has set aside. */
  readonly damaged: { readonly bytes: number };
  /** What `slipway prune` would free now; undefined where an image is damaged. */
  readonly reclaimable: number | undefined;
  readonly perImage: readonly ImageUsage[];
}

/** Adds up what is in the store. `reclaimable` is asked for by the caller, who knows what a prune without flags drops. */
export function storeUsage(store: Store, prune: Parameters<typeof collect>[1] = {}): Promise<StoreUsage> {
  return store.use(() => measure(store, prune));
}

async function measure(store: Store, prune: Parameters<typeof collect>[1]): Promise<StoreUsage> {
  const images = await store.images();
  const mounts = await imageMounts(store);
  const records = await cacheItems(store);
  const roots = [...images, ...(await otherRoots(store))];
  const reach = await reachAll(store, roots, records);
  const sizes = new Map((await store.listBlobs()).map(({ digest, size }) => [digest, size]));
  const cached = new Set(records.flatMap(({ blobs }) => blobs.map(({ descriptor }) => descriptor.digest)));
  const sum = (wanted: (digest: Digest, blob: NamedBlob | undefined) => boolean) => {
    const chosen = [...sizes].filter(([digest]) => wanted(digest, reach.blobs.get(digest)));
    return { count: chosen.length, bytes: chosen.reduce((bytes, [, size]) => bytes + size, 0) };
  };
  const ofImages = sum((_, blob) => (blob?.images.size ?? 0) > 0);
  const ofCache = sum((_, blob) => blob?.images.size === 0);
  const unreferenced = sum((_, blob) => blob === undefined);
  const used = async (...path: string[]): Promise<{ bytes: number }> => ({
    bytes: await diskUsage([join(store.root, ...path)]),
  });
  const unpackedLayers = await used('data', 'overlay2');
  const copied = mounts.filter(({ kind }) => kind === 'copy').map(({ target }) => target);
  const copies = { count: copied.length, bytes: await diskUsage(copied) };
  const tocs = await used('tocs');
  const otherCaches = await used('cache');
  const tmp = await used('tmp');
  const damaged = await used(DAMAGED_DIRECTORY);
  const parts = [ofImages, ofCache, unreferenced, unpackedLayers, copies, tocs, otherCaches, tmp, damaged];
  return {
    root: store.root,
    total: parts.reduce((total, { bytes }) => total + bytes, 0),
    images: { count: images.length, bytes: ofImages.bytes },
    buildCache: { count: records.length, bytes: ofCache.bytes },
    unreferenced,
    unpackedLayers,
    copies,
    tocs,
    otherCaches,
    tmp,
    damaged,
    reclaimable: await reclaimable(store, prune),
    perImage: images.map(({ name, descriptor }) => {
      const blobs = [...(reach.ofImage.get(name) ?? [])];
      // Two names of one image are one image.
      const twins = new Set(
        images.filter((other) => other.descriptor.digest === descriptor.digest).map((other) => other.name),
      );
      let [size, unique] = [0, 0];
      for (const digest of blobs) {
        const bytes = sizes.get(digest) ?? 0;
        size += bytes;
        const others = [...(reach.blobs.get(digest)?.images ?? [])].some((user) => !twins.has(user));
        if (!others && !cached.has(digest)) unique += bytes;
      }
      return { name, size, shared: size - unique, unique };
    }),
  };
}

async function reclaimable(store: Store, prune: Parameters<typeof collect>[1]): Promise<number | undefined> {
  try {
    return (await collect(store, { ...prune, dryRun: true }))?.bytes;
  } catch (error) {
    if (!isSlipwayError(error, 'E_STORE')) throw error;
    return undefined;
  }
}
