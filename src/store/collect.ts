import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, isSlipwayError, SlipwayError } from '../base/errors.js';
import { type Digest, hexOf, isDigest } from '../image/digest.js';
import { successors, visited } from '../image/graph.js';
import { isDocumentType } from '../image/media-types.js';
import { CONFIG_LIMIT, type Descriptor, parseImageConfig } from '../image/oci.js';
import { type CacheItem, cacheItems, removeCacheItem } from './cache-items.js';
import { diskUsage } from './disk-usage.js';
import type { StoredImage } from './image-index.js';
import { readDocument } from './local-image.js';
import { otherRoots } from './other-roots.js';
import type { Store } from './store.js';

/** What a collection removed, or would remove. */
export interface Collected {
  /** Names that were forgotten. */
  readonly images: readonly string[];
  readonly blobs: number;
  /** Unpacked layers. */
  readonly layers: number;
  readonly cacheRecords: number;
  /** Caches of `RUN --mount=type=cache`. */
  readonly caches: number;
  /** Everything that was freed: blobs, unpacked layers, tables of contents, unfinished downloads, damaged files set aside. */
  readonly bytes: number;
}

export interface CollectOptions {
  /** Which names are forgotten first; default none. */
  readonly images?: (image: StoredImage) => Promise<boolean>;
  /** What of the build cache is dropped first; default none. What is broken in it goes in any case. */
  readonly cache?: (items: readonly CacheItem[]) => readonly CacheItem[];
  /** Blobs that nothing reaches stay when they arrived at this time or later (milliseconds since the epoch). Default: none stay. */
  readonly before?: number | undefined;
  /** Drop interrupted downloads and damaged files that a repair has set aside. Default false. */
  readonly unfinished?: boolean;
  /** Remove nothing, only say what would be. */
  readonly dryRun?: boolean;
  /** How long to wait for others that use the store; default 0. */
  readonly waitSeconds?: number;
}

/** Where a repair puts what is damaged and cannot be had again. */
export const DAMAGED_DIRECTORY = 'damaged';

/** What the names, the build cache, the mounts and the clusters of a store reach. */
interface Reached {
  readonly blobs: Set<Digest>;
  readonly diffIds: Set<Digest>;
  /** See {@link visited}. */
  readonly visited: Set<string>;
}

/**
 * Removes every blob, table of contents and unpacked layer that no name, mount, cluster or cache record reaches.
 * @returns undefined, and removes nothing, when another process uses the store at this moment.
 * @throws SlipwayError E_STORE, having removed nothing, when the documents of an image cannot be read: what it needs is not known.
 */
export function collect(store: Store, options: CollectOptions = {}): Promise<Collected | undefined> {
  const work = (): Promise<Collected> => collectNow(store, options);
  return options.dryRun === true ? store.use(work) : store.exclusively(work, { waitSeconds: options.waitSeconds ?? 0 });
}

async function collectNow(store: Store, options: CollectOptions): Promise<Collected> {
  const {
    images: chooseImage = async () => false,
    cache = () => [],
    before,
    unfinished = false,
    dryRun = false,
  } = options;
  const images: StoredImage[] = [];
  const kept: StoredImage[] = [];
  for (const image of await store.images()) ((await chooseImage(image)) ? images : kept).push(image);
  const items = await cacheItems(store);
  const dropped = new Set([...cache(items), ...items.filter(({ broken }) => broken)]);
  const reached = await reach(
    store,
    kept,
    items.filter((item) => !dropped.has(item)),
  );
  const blobs = await unreachedBlobs(store, reached, before);
  const layers = await unreachedLayers(store, reached, blobs.young);
  const trees = [...layers.trees, ...(unfinished ? [join(store.root, DAMAGED_DIRECTORY)] : [])];
  // A file with two names is counted once, so all are asked about together.
  let bytes = await diskUsage([...layers.tocs, ...trees]);
  for (const { size } of blobs.old) bytes += size;
  for (const { size } of dropped) bytes += size;
  if (dryRun) {
    if (unfinished) bytes += (await store.temp.leftovers({ partials: true })).bytes;
  } else {
    // Names first: whatever stops this half-way, a name never stands for what is gone.
    for (const { name } of images) await store.untag(name);
    for (const item of dropped) await removeCacheItem(store, item);
    for (const { digest } of blobs.old) await store.blobs.remove(digest);
    // An unpacked layer goes before its table of contents: without one it cannot be proved, and counts as damage.
    for (const tree of trees) await store.temp.discard(tree);
    for (const file of layers.tocs) await rm(file, { force: true });
    for (const file of layers.locks) await rm(file, { force: true });
    for (const { digest } of blobs.old) await store.forgetNotes(digest);
    if (unfinished) bytes += await store.temp.sweep({ partials: true });
  }
  return {
    images: images.map(({ name }) => name),
    blobs: blobs.old.length,
    layers: layers.trees.length,
    cacheRecords: [...dropped].filter(({ kind }) => kind !== 'mount').length,
    caches: [...dropped].filter(({ kind }) => kind === 'mount').length,
    bytes,
  };
}

interface UnreachedBlob {
  readonly digest: Digest;
  readonly size: number;
}

async function unreachedBlobs(
  store: Store,
  { blobs }: Reached,
  before: number | undefined,
): Promise<{ readonly old: readonly UnreachedBlob[]; readonly young: boolean }> {
  const old: UnreachedBlob[] = [];
  let young = false;
  for (const algorithm of ['sha256', 'sha512'] as const) {
    for (const hex of await names(join(store.root, 'blobs', algorithm))) {
      const digest = `${algorithm}:${hex}`;
      if (!isDigest(digest) || blobs.has(digest)) continue;
      const found = await stat(store.blobPath(digest)).catch(() => undefined);
      if (found?.isFile() !== true) continue;
      if (before !== undefined && found.mtimeMs >= before) young = true;
      else old.push({ digest, size: found.size });
    }
  }
  return { old, young };
}

/** @param keep unreached blobs stay, so what was made from them stays too: it is not known which is whose. */
async function unreachedLayers(
  store: Store,
  { diffIds }: Reached,
  keep: boolean,
): Promise<{ readonly tocs: string[]; readonly trees: string[]; readonly locks: string[] }> {
  const found = { tocs: [] as string[], trees: [] as string[], locks: [] as string[] };
  if (keep) return found;
  const hexes = new Set([...diffIds].map(hexOf));
  const isUnreached = (name: string): boolean => !hexes.has(name.split('.', 1)[0] ?? '');
  const [tocs, layers] = [join(store.root, 'tocs'), join(store.root, 'data', 'overlay2')];
  for (const name of await names(tocs)) if (isUnreached(name)) found.tocs.push(join(tocs, name));
  for (const name of await names(layers))
    if (isUnreached(name)) (name.endsWith('.lock') ? found.locks : found.trees).push(join(layers, name));
  return found;
}

async function reach(store: Store, images: readonly StoredImage[], items: readonly CacheItem[]): Promise<Reached> {
  const reached: Reached = { blobs: new Set(), diffIds: new Set(), visited: new Set() };
  for (const { name, descriptor } of images) await reachFrom(store, name, descriptor, reached);
  for (const { name, descriptor } of await otherRoots(store)) await reachFrom(store, name, descriptor, reached);
  for (const { descriptor, diffId } of items.flatMap(({ blobs }) => blobs)) {
    reached.blobs.add(descriptor.digest);
    if (diffId !== undefined) reached.diffIds.add(diffId);
  }
  return reached;
}

async function reachFrom(
  store: Store,
  name: string,
  descriptor: Descriptor,
  reached: Reached,
  inIndex = false,
): Promise<void> {
  if (reached.visited.has(visited(descriptor))) return;
  reached.visited.add(visited(descriptor));
  reached.blobs.add(descriptor.digest);
  if (!isDocumentType(descriptor.mediaType)) return;
  let document: Awaited<ReturnType<typeof readDocument>>;
  try {
    document = await readDocument(store, descriptor, descriptor.digest);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    // An index may name platforms that are not here.
    if (inIndex && error.code === 'E_NOT_FOUND') return;
    // What it needs may be the only copy there is.
    throw new SlipwayError('E_STORE', `nothing was freed, for ${name} is damaged: ${error.message}`, {
      hint: `mend it with "slipway store check --repair", or remove it: slipway rmi ${name}`,
      cause: error,
    });
  }
  for (const next of successors(document)) await reachFrom(store, name, next, reached, document.kind === 'index');
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
