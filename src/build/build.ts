import { availableParallelism } from 'node:os';
import type { Reporter } from '../base/reporter.js';
import { slots } from '../base/slots.js';
import type { Digest } from '../image/digest.js';
import type { Compression } from '../image/media-types.js';
import type { Descriptor } from '../image/oci.js';
import { formatPlatform, type Platform } from '../image/platform.js';
import { parseKubefile } from '../kubefile-parser/parse.js';
import type { RegistryOptions } from '../registry/options.js';
import { BuildCache } from '../store/build-cache.js';
import type { StoredLayer } from '../store/layer-store.js';
import type { Store } from '../store/store.js';
import type { CacheTarget } from './cache/cache-spec.js';
import { type ImportedCache, type KeyedRecord, trackedCache } from './cache/instruction-cache.js';
import { ImageLock, type LockMode } from './collect/image-lock.js';
import { BuildContext } from './context/context.js';
import { FileDigests } from './context/file-digests.js';
import { type FinishOptions, finishImage } from './finish/finish.js';
import { buildWarnings } from './lint/lint-kubefile.js';
import { putIndex } from './put-index.js';
import { readKubefile } from './read-kubefile.js';
import { refuseInsecure } from './run/run-security.js';
import { buildStages } from './stages/build-stages.js';
import { targetStage } from './stages/target-stage.js';
import { warnUnusedArgs } from './variables/global-args.js';

export interface BuildOptions extends FinishOptions {
  /** The build context. */
  readonly context: string;
  /** Path of the Kubefile, `-` for standard input; default `Kubefile` in the context. */
  readonly kubefile?: string;
  /** One image for each; more than one makes an index. */
  readonly platforms: readonly Platform[];
  /** Names the image gets. */
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly useCache: boolean;
  readonly pull: 'missing' | 'always' | 'never';
  readonly isolation: 'auto' | 'host' | 'container';
  readonly network: 'host' | 'none';
  readonly compression: Compression;
  readonly compressionLevel?: number;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number;
  /** Names of caches in registries that may have what an instruction makes. */
  readonly cacheFrom: readonly string[];
  /** Where the cache of this build is stored when it has succeeded. */
  readonly cacheTo: readonly CacheTarget[];
  /** What `RUN --mount=type=secret` may ask for, by id. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** No RUN may take longer, in milliseconds. */
  readonly runTimeoutMs?: number;
  readonly registry: RegistryOptions;
  /** How the lock file of the context is used. */
  readonly lock: LockMode;
  readonly reporter: Reporter;
  /** Told of each layer that is made for the image, as soon as it is in the store. Layers from the cache or of a base are not told. */
  readonly onLayer?: (layer: StoredLayer) => void;
  readonly signal: AbortSignal;
}

/**
 * Builds an image from a Kubefile and gives it its names. Until the very end nothing of it has a name: a build that fails or is
 * killed leaves at most blobs that the next `prune` removes, and a warm cache.
 * @returns the image's manifest; its index when several platforms are built.
 * @throws SlipwayError E_KUBEFILE_SYNTAX with all mistakes of the file; whatever an instruction throws, with its place in the file.
 */
export async function buildImage(store: Store, options: BuildOptions): Promise<Descriptor> {
  const { file, bytes } = await readKubefile(options.context, options.kubefile);
  const kubefile = parseKubefile(bytes, file);
  refuseInsecure(kubefile);
  const target = targetStage(kubefile, options.target);
  const [platform] = options.platforms;
  if (platform !== undefined)
    for (const { line, column, message, rule } of buildWarnings(kubefile, { ...options, platform }))
      options.reporter.warn(`${kubefile.file}:${line}:${column}: ${message} (${rule})`);
  return store.use(async () => {
    const context = await BuildContext.open(options.context, kubefile.file, kubefile.directives.dialect);
    const digests = await FileDigests.open(store, context.root);
    const cache = trackedCache(new BuildCache(store), await importCaches(store, options));
    const shared = {
      ...options,
      store,
      kubefile,
      context,
      digests,
      cache,
      lock: await ImageLock.open(context.root, options.lock),
      heavy: slots(availableParallelism()),
      compressionLevel: options.compressionLevel,
      runTimeoutMs: options.runTimeoutMs,
      epoch: options.epoch,
    };
    const several = options.platforms.length > 1;
    const images: Descriptor[] = [];
    const diffIds = new Set<Digest>();
    try {
      for (const platform of options.platforms) {
        if (several) options.reporter.info(`for ${formatPlatform(platform)}:`);
        const { job, state, needed } = await buildStages({ ...shared, platform }, target);
        const { descriptor, layers } = await finishImage(job, state, needed, options);
        images.push(descriptor);
        for (const { diffId } of layers) diffIds.add(diffId);
      }
    } finally {
      await digests.save();
    }
    warnUnusedArgs(shared);
    options.signal.throwIfAborted();
    await finishLock(store, shared.lock, options.reporter);
    const [only] = images;
    const image = several || only === undefined ? await putIndex(store, images) : only;
    for (const name of options.tags) await store.tag(name, image);
    await exportCaches(store, options, cache.used(), diffIds);
    return image;
  });
}

async function importCaches(
  store: Store,
  { cacheFrom, useCache, registry, reporter, signal }: BuildOptions,
): Promise<ImportedCache[]> {
  if (cacheFrom.length === 0 || !useCache) return [];
  const { importCache } = await import('./cache/registry-cache.js');
  const imported: ImportedCache[] = [];
  for (const name of cacheFrom) {
    const found = await importCache(store, name, { registry, reporter, signal });
    if (found !== undefined) imported.push(found);
  }
  return imported;
}

/** @param diffIds of the layers of the built images: all that `mode=min` stores. */
async function exportCaches(
  store: Store,
  { cacheTo, registry, reporter, signal }: BuildOptions,
  used: readonly KeyedRecord[],
  diffIds: ReadonlySet<Digest>,
): Promise<void> {
  if (cacheTo.length === 0) return;
  const { exportCache } = await import('./cache/registry-cache.js');
  const least = used.filter(({ record }) => record.layers.every(({ diffId }) => diffIds.has(diffId)));
  for (const { name, mode } of cacheTo)
    await exportCache(store, name, mode === 'max' ? used : least, { registry, reporter, signal });
}

/** Writes the lock file when that was asked for, or says what is in it for nothing. */
async function finishLock(store: Store, lock: ImageLock, reporter: Reporter): Promise<void> {
  const written = await lock.save(store);
  if (written !== undefined) reporter.info(`wrote ${written}`);
  const unused = lock.unused();
  if (unused.length > 0)
    reporter.warn(`${lock.file}: nothing asks for ${unused.join(', ')} any more; --lock update takes it out`);
}
