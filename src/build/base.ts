import { readFile } from 'node:fs/promises';
import { mapLimit } from '../base/concurrency.js';
import { isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import type { ContainerImage } from '../image/cluster-image.js';
import { digestOf } from '../image/digest.js';
import { canonicalName, parseReference } from '../image/reference.js';
import type { MergedTree } from '../layers/merge.js';
import type { CarriedImage, DistributionLayer } from '../registry/distribution-tree.js';
import type { StoredLayer } from '../store/layer-store.js';
import { readLayerFile } from '../store/rootfs-file.js';
import { type ListedImage, parseImageList } from './image-list.js';
import { type BuildJob, createdTime } from './job.js';
import { makeLayer } from './make-layer.js';
import { instructionDone, type Outcome } from './outcome.js';
import { nextKey, type StageState, stageTree } from './stage.js';

type FetchImage = typeof import('../registry/pull.js').fetchImage;

const LIST_LIMIT = 16 * 1024 * 1024;
/** Images fetched at the same time; each fetches its own blobs in parallel too. */
const PARALLEL_IMAGES = 2;

/**
 * BASE: brings the container images that the rootfs names into `registry/` of the rootfs, in the layout of Docker's registry, one layer
 * an image. Images that a base image carries already are not fetched again.
 * @param base `dir` is the rootfs itself when it is `rootfs`, `.` or `/`.
 * @param lists further image lists, as files of this machine.
 */
export async function collectContainerImages(
  job: BuildJob,
  state: StageState,
  { source, dir }: { readonly source: string; readonly dir: string },
  lists: readonly string[] = [],
): Promise<Outcome> {
  const tree = await stageTree(job.store, state);
  const listed = [...(await rootfsList(job, state, tree, dir)), ...(await Promise.all(lists.map(fileList))).flat()];
  const carried = new Set(state.containerImages.map(({ image }) => canonicalName(parseReference(image))));
  const wanted = unique(listed).filter(({ reference }) => !carried.has(canonicalName(reference)));
  const names = wanted.map(({ reference }) => canonicalName(reference));
  const scope = nextKey(state.key, 'BASE', dir, names, job.platform);
  if (wanted.length === 0) return { state, cached: false };

  const containerImages: ContainerImage[] = [
    ...state.containerImages,
    ...wanted.map(({ reference }) => ({ image: canonicalName(reference), platform: { ...job.platform } })),
  ];
  const record = job.useCache ? await job.cache.get(scope, scope) : undefined;
  if (record !== undefined) {
    const notes = Array.isArray(record.note) ? record.note.map(String) : [];
    const done = instructionDone(state, { source }, record.layers, scope, {
      cached: true,
      created: record.created,
      notes,
    });
    return { state: { ...done.state, containerImages }, cached: true };
  }
  // Loaded only here: a build whose images are all in the cache talks to no registry.
  const [{ fetchImage }, { distributionLayers }] = await Promise.all([
    import('../registry/pull.js'),
    import('../registry/distribution-tree.js'),
  ]);
  const fetched = await mapLimit(wanted, PARALLEL_IMAGES, (image) => fetchListed(job, image, fetchImage));
  const made: { layer: StoredLayer; note: string }[] = [];
  for (const part of await distributionLayers(job.store, fetched))
    made.push({ layer: await partLayer(job, part), note: part.title });
  const created = createdTime(job);
  const layers = made.map(({ layer }) => layer);
  const notes = made.map(({ note }) => note);
  await job.cache.put(scope, scope, { layers, created, note: notes });
  const done = instructionDone(state, { source }, layers, scope, { cached: false, created, notes });
  return { state: { ...done.state, containerImages }, cached: false };
}

async function rootfsList(job: BuildJob, state: StageState, tree: MergedTree, dir: string): Promise<ListedImage[]> {
  const home =
    ['rootfs', '.', '/', './', 'rootfs/'].includes(dir) && tree.get(`${dir}/manifests`) === undefined
      ? ''
      : dir.replace(/^\/+|\/+$/g, '');
  const path = home === '' ? 'manifests/imageList' : `${home}/manifests/imageList`;
  const found = tree.resolve(path).found?.source;
  const layer = found === undefined ? undefined : state.layers[found.layer];
  if (found === undefined || layer === undefined) return [];
  return parseImageList((await readLayerFile(job.store, layer, found.entry, LIST_LIMIT)).toString('utf8'), path);
}

async function fileList(file: string): Promise<ListedImage[]> {
  try {
    return parseImageList(await readFile(file, 'utf8'), file);
  } catch (cause) {
    if (isSlipwayError(cause)) throw cause;
    throw new SlipwayError('E_NOT_FOUND', `cannot read the image list ${file}: ${messageOf(cause)}`, { cause });
  }
}

function unique(images: readonly ListedImage[]): ListedImage[] {
  return [...new Map(images.map((image) => [canonicalName(image.reference), image])).values()];
}

async function fetchListed(
  job: BuildJob,
  { reference, where }: ListedImage,
  fetchImage: FetchImage,
): Promise<CarriedImage> {
  const name = canonicalName(reference);
  try {
    job.reporter.info(`fetching ${name}`);
    const { descriptor, through } = await fetchImage(job.store, name, {
      ...job.registry,
      platform: job.platform,
      reporter: job.reporter,
    });
    if (reference.digest === undefined) return { reference, descriptor };
    // Named by digest, it will be asked for by that digest, which may be an index's.
    for (const { bytes } of through) await job.store.putBlob(bytes);
    return { reference, descriptor, indexes: through.map((index) => index.descriptor) };
  } catch (error) {
    if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
    throw new SlipwayError(error.code, `${where}: ${name}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

/** The layer of one part. Its content is known by digest, so one that was packed before, in whatever build, is taken again. */
async function partLayer(job: BuildJob, { key, title, entries }: DistributionLayer): Promise<StoredLayer> {
  const scope = digestOf(`distribution layer ${key}`);
  const [known] = (await job.cache.get(scope, scope))?.layers ?? [];
  if (known !== undefined) return known;
  // The blobs inside are compressed already: squeezing them again costs time and saves nothing.
  const { layer } = await makeLayer(job, entries, { title, compression: 'none' });
  await job.cache.put(scope, scope, { layers: [layer], created: createdTime(job) });
  return layer;
}
