import { mapLimit } from '../../base/concurrency.js';
import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import type { Digest } from '../../image/digest.js';
import { successors } from '../../image/graph.js';
import { isIndexType, isManifestType, isNondistributable } from '../../image/media-types.js';
import type { Descriptor } from '../../image/oci.js';
import { formatPlatform, type Platform } from '../../image/platform.js';
import { canonicalName, type Reference, registryAddress } from '../../image/reference.js';
import type { RegistryOptions } from '../../registry/options.js';
import { type KnownImage, knownImage, rememberImage } from '../../store/known-images.js';
import { readDocument, readImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import { formatPlace } from './found-image.js';
import { type ImageLock, LOCK_FILE } from './image-lock.js';
import type { WantedImage } from './wanted-images.js';

/** Images asked for at the same time; each fetches its own blobs in parallel too. */
const PARALLEL_IMAGES = 2;

export interface ResolveJob {
  readonly store: Store;
  readonly platform: Platform;
  readonly pull: 'missing' | 'always' | 'never';
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly lock: ImageLock;
}

/** A wanted image with what its name stands for. */
export interface ResolvedImage extends KnownImage {
  readonly image: WantedImage;
  /** The name it was, or will be, fetched by: with a digest where the lock file, or the name itself, has one. */
  readonly asked: string;
}

/**
 * Finds out what images are, in this order: what the lock file says; what this machine remembers from an earlier build; an image of that name
 * in the store; the registry. With `--pull always`, or when the lock file is being written, the registry is asked for every name that is no digest;
 * with `never` it is not asked at all.
 * @throws SlipwayError E_STALE_LOCK that lists every image the lock file does not have; E_NOT_FOUND … naming the place that asks for an image.
 */
export async function resolveImages(job: ResolveJob, images: readonly WantedImage[]): Promise<ResolvedImage[]> {
  refuseStale(job, images);
  const resolved = await mapLimit(images, PARALLEL_IMAGES, (image) => atPlace(image, () => resolveOne(job, image)));
  for (const { image, descriptor } of resolved) job.lock.record(image.name, job.platform, descriptor.digest);
  return resolved;
}

/** Brings what is missing of resolved images into the store: exactly what was resolved, by digest. */
export async function fetchMissing(job: ResolveJob, images: readonly ResolvedImage[]): Promise<void> {
  await mapLimit(images, PARALLEL_IMAGES, (one) =>
    atPlace(one.image, async () => {
      if (await isComplete(job.store, one)) return;
      const { reference } = one.image;
      const asked = reference.digest === undefined ? `${repositoryOf(reference)}@${one.descriptor.digest}` : one.asked;
      if (job.pull === 'never') throw forbidden(asked);
      const { store, platform, registry, reporter } = job;
      reporter.info(`fetching ${one.image.name}`);
      const { fetchImage } = await import('../../registry/pull.js');
      const { through } = await fetchImage(store, asked, { ...registry, platform, reporter });
      for (const { bytes } of one.indexes.length === 0 ? [] : through) await store.putBlob(bytes);
    }),
  );
}

async function resolveOne(job: ResolveJob, image: WantedImage): Promise<ResolvedImage> {
  const { store, platform, pull, lock } = job;
  const { reference } = image;
  const locked = lock.digest(image.name, platform);
  const asked =
    locked === undefined || reference.digest !== undefined ? image.name : `${repositoryOf(reference)}@${locked}`;
  const fixed = asked.includes('@');
  const anew = !fixed && (pull === 'always' || lock.mode === 'update') && pull !== 'never';
  let known = anew ? undefined : await knownImage(store, asked, platform);
  if (known === undefined && !anew) known = await storedImage(store, reference, platform, locked);
  if (known === undefined) {
    if (pull === 'never') throw forbidden(asked);
    known = await ask(job, asked, reference.digest !== undefined);
  }
  if (locked !== undefined && known.descriptor.digest !== locked) {
    throw new SlipwayError(
      'E_STALE_LOCK',
      `${LOCK_FILE} has ${locked}, the name stands for ${known.descriptor.digest}`,
      {
        hint: 'write the lock file anew with --lock update',
      },
    );
  }
  return { ...known, image, asked };
}

/** An image of this name that was pulled, loaded or built, if it is whole and for the platform: FROM would take it too. */
async function storedImage(
  store: Store,
  reference: Reference,
  platform: Platform,
  locked: Digest | undefined,
): Promise<KnownImage | undefined> {
  for (const name of new Set([reference.name, canonicalName(reference)])) {
    const named = await store.resolve(name);
    if (named === undefined || (reference.digest !== undefined && named.digest !== reference.digest)) continue;
    try {
      const { descriptor } = await readImage(store, name, platform);
      if (locked !== undefined && descriptor.digest !== locked) continue;
      const found: KnownImage = {
        descriptor: bare(descriptor),
        indexes: reference.digest === undefined || named.digest === descriptor.digest ? [] : [bare(named)],
      };
      if (await isComplete(store, found)) return found;
    } catch (error) {
      if (!isSlipwayError(error)) throw error; // for another platform, or damaged: the registry is asked
    }
  }
  return undefined;
}

/** Asks the registry what a name stands for, and remembers it. Only manifests are fetched: a cache may have the rest. */
async function ask(job: ResolveJob, asked: string, keepIndexes: boolean): Promise<KnownImage> {
  const { store, platform, registry, reporter } = job;
  const { resolveImage } = await import('../../registry/pull.js'); // a build whose images are known talks to no registry
  const { document, through } = await resolveImage(store, asked, { ...registry, platform, reporter });
  // Named by digest, it will be asked for by that digest, which may be an index's.
  const kept = keepIndexes ? through : [];
  for (const { bytes } of [document, ...kept]) await store.putBlob(bytes);
  const known = { descriptor: bare(document.descriptor), indexes: kept.map(({ descriptor }) => bare(descriptor)) };
  await rememberImage(store, asked, platform, known);
  return known;
}

/** Whether everything of an image is in the store. */
export async function isComplete(store: Store, { descriptor, indexes }: KnownImage): Promise<boolean> {
  for (const { digest, size } of indexes) if ((await store.blobSize(digest)) !== size) return false;
  const whole = async (one: Descriptor): Promise<boolean> => {
    if (isNondistributable(one.mediaType)) return true; // stays where it is: distribution-tree.ts leaves it out too
    if ((await store.blobSize(one.digest)) !== one.size) return false;
    if (!isManifestType(one.mediaType) && !isIndexType(one.mediaType)) return true;
    for (const next of successors(await readDocument(store, one, one.digest))) if (!(await whole(next))) return false;
    return true;
  };
  return whole(descriptor);
}

function refuseStale({ lock, platform }: ResolveJob, images: readonly WantedImage[]): void {
  if (!lock.active) return;
  const missing = images.filter(({ name }) => lock.digest(name, platform) === undefined);
  if (missing.length === 0) return;
  const lines = missing.map(({ name, places }) => `  ${name}, asked for by ${formatPlace(places[0])}`);
  throw new SlipwayError(
    'E_STALE_LOCK',
    `${lock.file} does not have for ${formatPlatform(platform)}:\n${lines.join('\n')}`,
    { hint: 'write it anew with --lock update, or build without it: --lock ignore' },
  );
}

/** Puts the place that asks for an image in front of what went wrong with it. */
async function atPlace<T>({ name, places }: WantedImage, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    const spare = 'if the cluster does not need it, name it in a file for --ignored-image-list';
    throw new SlipwayError(error.code, `${formatPlace(places[0])}: ${name}: ${error.message}`, {
      hint:
        error.code === 'E_STALE_LOCK'
          ? (error.hint ?? '')
          : error.hint === undefined
            ? spare
            : `${error.hint}; ${spare}`,
      cause: error,
    });
  }
}

function forbidden(asked: string): SlipwayError {
  return new SlipwayError('E_NOT_FOUND', `${asked} is not on this machine, and --pull=never forbids to ask a registry`);
}

function repositoryOf(reference: Reference): string {
  const { host, repository } = registryAddress(reference);
  return `${host}/${repository}`;
}

/** What a descriptor says of where it was found is no part of what it is. */
function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
