import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errnoOf, SlipwayError } from '../../base/errors.js';
import { type ProgressTask, type Reporter, silentReporter } from '../../base/reporter.js';
import { shortDigest } from '../../image/digest.js';
import { parseReference } from '../../image/reference.js';
import { checkImage } from '../../store/local-image.js';
import { LayerProver } from '../../store/prove/layer-prover.js';
import type { Store } from '../../store/store.js';
import { withKnownDocuments } from '../content.js';
import { copyGraph } from '../copy.js';
import { storeSource, storeTarget } from '../store-content.js';
import type { NamedImage } from './archive-image.js';
import { directoryFiles } from './directory-files.js';
import { dockerImages } from './docker-images.js';
import type { ImageSet } from './image-set.js';
import { takeIn } from './intake.js';
import { layoutImages } from './layout-content.js';
import { type FoundImage, isTagAlone, LAYOUT_FILES, storeName } from './layout-index.js';
import { openArchive } from './open-archive.js';
import type { PlacedFiles } from './placed-files.js';
import { openTarFiles, type TarFiles } from './tar-files.js';

export interface LoadOptions {
  /** The name of an image that has none in the archive, or another name than it has there. For archives of one image. */
  readonly as?: string | undefined;
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An image that is in the store now. */
export interface LoadedImage extends NamedImage {
  /** Bytes of its blobs, whether they were here before or not. */
  readonly size: number;
}

/**
 * Loads the images of an archive into the store and tags them: an OCI layout (directory or tar) or a docker archive, plain or compressed; or what
 * sealer 0.8 saved.
 * Everything is verified; the names appear last.
 * @param source a file, a directory, or a stream.
 * @throws SlipwayError E_BAD_ARCHIVE, E_DIGEST_MISMATCH, E_NOT_FOUND when the archive leaves out what images it is meant for have, and
 * they are not here.
 */
export async function loadArchive(
  store: Store,
  source: string | AsyncIterable<Buffer>,
  options: LoadOptions = {},
): Promise<readonly LoadedImage[]> {
  return store.use(async () => {
    const { files, reporter } = await openFiles(store, source, options);
    const prover = new LayerProver(store);
    try {
      const { content, images } = await imagesIn(store, files, reporter, options.signal);
      const chosen = named(images, options.as);
      const known = withKnownDocuments(content, storeSource(store));
      const target = storeTarget(store, { prover });
      const loaded: LoadedImage[] = [];
      for (const image of chosen) {
        const { copied, resumed, reused } = await copyGraph(known, target, image.descriptor, {
          reporter,
          signal: options.signal,
        });
        loaded.push({ ...image, size: copied + resumed + reused });
      }
      for (const { name, descriptor } of chosen)
        await checkImage(store, name, descriptor, (image) => prover.prove(image));
      // All at once: killed, it has loaded everything or nothing.
      await tellOfMoved(store, chosen, options.reporter);
      await store.tagAll(chosen);
      return loaded;
    } finally {
      await prover.close();
      await files.close();
    }
  });
}

/**
 * The files of an archive. What comes only once, in order, is taken into the store on the way: then its blobs are there already.
 * @returns also who is told of the blobs that are copied.
 */
async function openFiles(
  store: Store,
  source: string | AsyncIterable<Buffer>,
  { reporter = silentReporter, signal }: LoadOptions,
): Promise<{ readonly files: PlacedFiles | TarFiles; readonly reporter: Reporter }> {
  if (typeof source === 'string' && (await isDirectory(source))) {
    return { files: directoryFiles(resolve(source)), reporter };
  }
  let task: ProgressTask | undefined;
  const opened = await openArchive(source, signal, (bytes) => {
    task ??= reporter.task(typeof source === 'string' ? `load ${source}` : 'load');
    task.advance(bytes);
  });
  if (opened.kind === 'file') {
    return { files: await openTarFiles(opened.handle, opened.label), reporter };
  }
  try {
    const files = await takeIn(store, opened.stream, opened.label);
    task?.done();
    return { files, reporter: silentReporter };
  } catch (error) {
    task?.fail();
    throw error;
  } finally {
    await opened.close();
  }
}

/** The images of an archive of whatever kind. One that is both, as docker 25 writes it, is an OCI layout. */
async function imagesIn(
  store: Store,
  files: PlacedFiles | TarFiles,
  reporter: Reporter,
  signal: AbortSignal | undefined,
): Promise<ImageSet> {
  const there = await Promise.all([...LAYOUT_FILES, 'manifest.json'].map((path) => files.size(path)));
  const [index, layout, manifest] = there.map((size) => size !== undefined);
  if (index && (layout || !manifest)) return layoutImages(files);
  if (manifest) return dockerImages(files);
  if ('whole' in files) {
    const { isSealerArchive, sealerImages } = await import('./sealer-archive.js'); // hardly anybody has one
    if (await isSealerArchive(files)) return sealerImages(store, files, { reporter, signal });
  }
  throw new SlipwayError('E_BAD_ARCHIVE', `${files.label} is neither an OCI archive nor a docker archive`, {
    hint: 'it has neither index.json with oci-layout, nor manifest.json',
  });
}

/** Names that stood for other images: what they were is not lost silently. */
async function tellOfMoved(
  store: Store,
  chosen: readonly NamedImage[],
  reporter: Reporter = silentReporter,
): Promise<void> {
  const before = await store.images();
  for (const { name, descriptor } of chosen) {
    const old = before.find((image) => image.name === name)?.descriptor;
    if (old === undefined || old.digest === descriptor.digest) continue;
    const others = before.filter((image) => image.descriptor.digest === old.digest && image.name !== name);
    const rest =
      others.length === 0
        ? 'that has no name any more, and goes with the next prune'
        : `that is still called ${others.map((image) => image.name).join(', ')}`;
    reporter.info(`${name} stood for another image, ${shortDigest(old.digest)}: ${rest}`);
  }
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
  return found.map((image) => {
    const name = storeName(image);
    if (name !== undefined) return { name, descriptor: image.descriptor };
    const [only] = image.names;
    const why = only === undefined ? 'no name' : `no name but ${JSON.stringify(only.slice(0, 300))}`;
    const tag = only !== undefined && isTagAlone(only) ? `:${only}` : '';
    throw new SlipwayError('E_USAGE', `image ${image.descriptor.digest} has ${why} in the archive`, {
      hint: `give it one with --as NAME${tag}`,
    });
  });
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false; // said when it is opened
    throw error;
  }
}
