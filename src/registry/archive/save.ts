import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import type { Platform } from '../../image/platform.js';
import { findImage, readImageAt } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import type { ContentTarget } from '../content.js';
import { copyGraph } from '../copy.js';
import { storeSource } from '../store-content.js';
import { type NamedImage, namedDescriptor, SINCE } from './archive-image.js';
import { dockerArchive } from './docker-archive.js';
import { isEmptyOrUnfinished, openLayoutDirectory } from './layout-directory.js';
import { ociArchive } from './oci-archive.js';
import { withOutput } from './output.js';
import { reachable } from './reachable.js';

export const ARCHIVE_FORMATS = ['oci-archive', 'docker-archive', 'oci-dir'] as const;
/** `oci-archive`: a tar of an OCI layout. `docker-archive`: what `docker load` reads. `oci-dir`: an OCI layout. */
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

export interface SaveOptions {
  /** Default `oci-archive`. */
  readonly format?: ArchiveFormat | undefined;
  /** Images that are where the archive is going: what they have is left out. OCI formats only. */
  readonly since?: readonly string[] | undefined;
  /** Which image of an index goes into a docker archive. OCI formats keep them all. */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Saves images of the store.
 * @param target a file (or directory for `oci-dir`), or a stream that is left open.
 * @returns what is in the archive.
 * @throws SlipwayError E_NOT_FOUND, E_USAGE, E_NO_SPACE …; a file that could not be completed is not there.
 */
export async function saveImages(
  store: Store,
  names: readonly string[],
  target: string | Writable,
  { format = 'oci-archive', since = [], platform, signal }: SaveOptions = {},
): Promise<readonly SavedImage[]> {
  if (names.length === 0) throw new SlipwayError('E_USAGE', 'no image to save');
  return store.use(async () => {
    const [images, bases] = [await find(store, names), await find(store, since)];
    const job: SaveJob = { store, images, bases, platform, signal };
    if (format === 'docker-archive') return saveDockerArchive(job, target);
    if (format === 'oci-archive') return saveOciArchive(job, target);
    return saveLayout(job, target);
  });
}

/** An image that is in an archive now. */
export interface SavedImage extends NamedImage {
  /** Bytes of its blobs. */
  readonly size: number;
  /** Of these, what was written for it: not what other images of the archive have, or was left out. */
  readonly saved: number;
}

interface SaveJob {
  readonly store: Store;
  readonly images: readonly NamedImage[];
  readonly bases: readonly NamedImage[];
  readonly platform: Platform | undefined;
  readonly signal: AbortSignal | undefined;
}

async function saveDockerArchive(
  { store, images, bases, platform, signal }: SaveJob,
  target: string | Writable,
): Promise<readonly SavedImage[]> {
  if (bases.length > 0) {
    throw new SlipwayError('E_USAGE', 'a docker archive cannot leave out what other images have', {
      hint: 'use --format oci-archive with --since',
    });
  }
  const chosen: NamedImage[] = [];
  for (const { name, descriptor } of images) chosen.push(await readImageAt(store, name, descriptor, platform));
  for (const image of chosen) await reachable(store, image); // all of it is here, or nothing is begun
  return withOutput(target, async (output) => {
    const archive = dockerArchive(output);
    const saved: SavedImage[] = [];
    for (const { name, descriptor } of chosen) {
      saved.push(await saveOne(store, archive.content, { name, descriptor }, signal));
      archive.add(descriptor.digest, name.includes('@') ? undefined : name);
    }
    await archive.end();
    return saved;
  });
}

async function saveOciArchive(job: SaveJob, target: string | Writable): Promise<readonly SavedImage[]> {
  const { store, images, signal } = job;
  const left = await leftOut(job);
  return withOutput(target, async (output) => {
    const archive = await ociArchive(output, left);
    const saved: SavedImage[] = [];
    for (const image of images) {
      saved.push(await saveOne(store, archive.content, image, signal));
      archive.add(namedDescriptor(image.name, image.descriptor));
    }
    await archive.end();
    return saved;
  });
}

/** An OCI layout as a directory, which must be empty or missing, or what a save that was killed or failed has left. */
async function saveLayout(job: SaveJob, target: string | Writable): Promise<readonly SavedImage[]> {
  const { store, images, signal } = job;
  if (typeof target !== 'string') throw new SlipwayError('E_USAGE', 'a directory cannot be written to a stream');
  const root = resolve(target);
  const there = await readdir(root).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return [];
    throw fileSystemError(error, `writing the OCI layout ${root}`);
  });
  if (!isEmptyOrUnfinished(there)) {
    throw new SlipwayError('E_USAGE', `${root} is not empty`, {
      hint: `name a directory that is empty or does not exist, or add to the layout: slipway copy NAME oci:${target}`,
    });
  }
  const { without, since } = await leftOut(job);
  const layout = await openLayoutDirectory(root);
  const saved: SavedImage[] = [];
  try {
    const content: ContentTarget = {
      ...layout.content,
      has: async (descriptor) => without.has(descriptor.digest) || layout.content.has(descriptor),
    };
    for (const image of images) saved.push(await saveOne(store, content, image, signal));
    // In one step: with some of its names it would look like a layout of somebody's.
    await layout.addAll(images, since === undefined ? {} : { [SINCE]: since });
  } catch (error) {
    await layout.abandon().catch(() => {}); // the next save sweeps, and goes on
    throw error;
  }
  await layout.close();
  return saved;
}

async function saveOne(
  store: Store,
  target: ContentTarget,
  { name, descriptor }: NamedImage,
  signal: AbortSignal | undefined,
): Promise<SavedImage> {
  const { copied, resumed, reused } = await copyGraph(storeSource(store), target, descriptor, { signal });
  return { name, descriptor, size: copied + resumed + reused, saved: copied };
}

/** What the images that `since` names have; all of the images to save is here. */
async function leftOut({
  store,
  images,
  bases,
}: SaveJob): Promise<{ readonly without: ReadonlySet<Digest>; readonly since: string | undefined }> {
  for (const image of images) await reachable(store, image);
  const without = new Set<Digest>();
  for (const base of bases) for (const { digest } of await reachable(store, base)) without.add(digest);
  const named = bases.map(({ name, descriptor }) => `${name.replace(/@.*$/, '')}@${descriptor.digest}`);
  return { without, since: bases.length === 0 ? undefined : named.join(' ') };
}

async function find(store: Store, names: readonly string[]): Promise<readonly NamedImage[]> {
  const images: NamedImage[] = [];
  for (const name of names) images.push(await findImage(store, name));
  return images;
}
