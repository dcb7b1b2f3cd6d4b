import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf, isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { type Reporter, silentReporter } from '../../base/reporter.js';
import { successors } from '../../image/graph.js';
import { isIndexType, isManifestType, isNondistributable } from '../../image/media-types.js';
import { type Descriptor, MANIFEST_LIMIT, parseImageDocument } from '../../image/oci.js';
import { parseReference } from '../../image/reference.js';
import { Blobs } from '../../store/blobs.js';
import { checkImage, readDocument } from '../../store/local-image.js';
import { LayerProver } from '../../store/prove/layer-prover.js';
import type { Store } from '../../store/store.js';
import type { ContentSource } from '../content.js';
import { copyGraph } from '../copy.js';
import { interruptible } from '../interruptible.js';
import { storeTarget } from '../store-content.js';
import type { NamedImage } from './archive-image.js';
import { imagesOfDockerArchive } from './docker-manifest.js';
import { takeIn } from './intake.js';
import { type LayoutIndex, parseLayoutIndex } from './layout-index.js';

export interface LoadOptions {
  /** The name of an image that has none in the archive, or another name than it has there. For archives of one image. */
  readonly as?: string | undefined;
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads the images of an archive into the store and tags them: an OCI layout (directory or tar) or a docker archive, plain or compressed.
 * Everything is verified; the names appear last.
 * @param source a file, a directory, or a stream.
 * @throws SlipwayError E_BAD_ARCHIVE, E_DIGEST_MISMATCH, E_NOT_FOUND when the archive leaves out what images it is meant for have, and
 * they are not here.
 */
export async function loadArchive(
  store: Store,
  source: string | AsyncIterable<Buffer>,
  options: LoadOptions = {},
): Promise<readonly NamedImage[]> {
  return store.use(async () => {
    const found =
      typeof source === 'string'
        ? await loadPath(store, source, options)
        : await loadStream(store, source, 'archive', undefined, options);
    const images = named(found, options.as);
    const prover = new LayerProver(store);
    try {
      for (const { name, descriptor } of images)
        await checkImage(store, name, descriptor, (image) => prover.prove(image));
    } finally {
      await prover.close();
    }
    for (const { name, descriptor } of images) await store.tag(name, descriptor);
    return images;
  });
}

/** An image that may have no name yet. */
interface FoundImage {
  readonly name: string | undefined;
  readonly descriptor: Descriptor;
}

async function loadPath(store: Store, source: string, options: LoadOptions): Promise<readonly FoundImage[]> {
  const path = resolve(source);
  try {
    const { size, ...found } = await stat(path).then((stats) => ({ size: stats.size, directory: stats.isDirectory() }));
    if (found.directory) return await loadDirectory(store, path, options);
    return await loadStream(store, createReadStream(path, { highWaterMark: 1024 * 1024 }), path, size, options);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    throw new SlipwayError('E_NOT_FOUND', `cannot load ${path}: ${messageOf(error)}`, { cause: error });
  }
}

async function loadStream(
  store: Store,
  stream: AsyncIterable<Buffer>,
  what: string,
  size: number | undefined,
  { reporter = silentReporter, signal }: LoadOptions,
): Promise<readonly FoundImage[]> {
  const task = reporter.task(`load ${what}`, size);
  try {
    const intake = await takeIn(store, interruptible(stream, signal), (bytes) => task.advance(bytes));
    const [index, manifest] = [intake.documents.get('index.json'), intake.documents.get('manifest.json')];
    let images: readonly FoundImage[];
    if (index !== undefined && intake.documents.has('oci-layout'))
      images = await loadLayout(store, parseLayoutIndex(index, what));
    else if (manifest !== undefined) images = await imagesOfDockerArchive(store, intake, manifest, what);
    else {
      throw new SlipwayError('E_BAD_ARCHIVE', `${what} is neither an OCI archive nor a docker archive`, {
        hint: 'it has neither index.json with oci-layout, nor manifest.json',
      });
    }
    task.done();
    return images;
  } catch (error) {
    task.fail();
    throw error;
  }
}

async function loadLayout(store: Store, index: LayoutIndex): Promise<readonly FoundImage[]> {
  for (const { name, descriptor } of index.images)
    await requireAll(store, name ?? descriptor.digest, descriptor, index.since);
  return index.images;
}

async function loadDirectory(store: Store, dir: string, options: LoadOptions): Promise<readonly FoundImage[]> {
  const index = parseLayoutIndex(await readFile(join(dir, 'index.json')), dir);
  const source = layoutSource(store, dir);
  for (const { name, descriptor } of index.images) {
    try {
      await copyGraph(source, storeTarget(store), descriptor, options);
    } catch (error) {
      if (index.since === undefined || !isSlipwayError(error, 'E_NOT_FOUND')) throw error;
      throw missing(name ?? descriptor.digest, descriptor, index.since);
    }
  }
  return index.images;
}

/** A layout directory as a place to copy from. Documents that it leaves out are taken from the store itself. */
function layoutSource(store: Store, dir: string): ContentSource {
  const blobs = new Blobs(join(dir, 'blobs'), store.temp);
  const has = async ({ digest, size }: Descriptor): Promise<boolean> => (await blobs.size(digest)) === size;
  return {
    label: dir,
    has,
    async document(descriptor) {
      const bytes = await ((await has(descriptor)) ? blobs : store.blobs).read(descriptor, MANIFEST_LIMIT);
      return {
        descriptor,
        bytes,
        document: parseImageDocument(bytes, descriptor.mediaType, `${dir}: ${descriptor.digest}`),
      };
    },
    open: ({ digest }, start, end, signal) =>
      interruptible(end <= start ? none() : blobs.open(digest, { start, end: end - 1 }), signal),
  };
}

async function* none(): AsyncGenerator<Uint8Array, void, void> {
  // an empty blob: an empty range cannot be said with an inclusive end
}

/** Everything that an image reaches must be here by now. */
async function requireAll(store: Store, name: string, root: Descriptor, since: string | undefined): Promise<void> {
  const seen = new Set<string>();
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(descriptor.digest) || isNondistributable(descriptor.mediaType)) return;
    seen.add(descriptor.digest);
    if ((await store.blobSize(descriptor.digest)) !== descriptor.size) throw missing(name, descriptor, since);
    if (!isManifestType(descriptor.mediaType) && !isIndexType(descriptor.mediaType)) return;
    for (const next of successors(await readDocument(store, descriptor, name))) await visit(next);
  };
  await visit(root);
}

function missing(name: string, { digest }: Descriptor, since: string | undefined): SlipwayError {
  if (since === undefined) {
    return new SlipwayError('E_BAD_ARCHIVE', `${name}: the archive lacks ${digest}`, {
      hint: 'it is incomplete: save or copy it again',
    });
  }
  return new SlipwayError(
    'E_NOT_FOUND',
    `${name}: the archive holds only what ${since.replaceAll(' ', ', ')} lacks, and that is not in the store`,
    {
      hint: `load or pull ${since.replace(/@.*/, '')} first`,
      details: { digest, since },
    },
  );
}

/** @throws SlipwayError E_USAGE when an image has no name and none is given. */
function named(found: readonly FoundImage[], as: string | undefined): readonly NamedImage[] {
  if (as !== undefined) {
    const [first, second] = found;
    if (first === undefined || second !== undefined) {
      throw new SlipwayError('E_USAGE', `the archive has ${found.length} images: one name does not fit`);
    }
    return [{ name: parseReference(as).name, descriptor: first.descriptor }];
  }
  return found.map(({ name, descriptor }) => {
    if (name !== undefined) return { name, descriptor };
    throw new SlipwayError('E_USAGE', `image ${descriptor.digest} has no name in the archive`, {
      hint: 'give it one with --tag NAME',
    });
  });
}
