import { applicationAt } from '../../image/applications.js';
import type { ContainerImage } from '../../image/cluster-image.js';
import { digestOf } from '../../image/digest.js';
import type { Platform } from '../../image/platform.js';
import { canonicalName, parseReference } from '../../image/reference.js';
import type { CarriedImage, DistributionLayer } from '../../registry/distribution-tree.js';
import type { StoredLayer } from '../../store/layer-store.js';
import { type BuildJob, createdTime } from '../job.js';
import { makeLayer } from '../make-layer.js';
import { instructionDone, type Outcome } from '../outcome.js';
import { nextKey, type StageState, stageTree } from '../stages/stage.js';
import { fetchMissing, type ResolvedImage, resolveImages } from './resolve-images.js';
import { firstPlace, missingImages, type WantedImage, wantedImages } from './wanted-images.js';

/**
 * BASE: brings the container images that the rootfs asks for into `registry/` of the rootfs, in the layout of Docker's registry, one layer
 * an image. Images that a base image carries already are not fetched again.
 *
 * Cached by what the names stand for, not by the names: a tag that was moved is noticed whenever it is asked for ({@link resolveImages}). What comes
 * before in the stage does not matter, so that a changed file fetches no image again.
 * @param base `dir` is the rootfs itself when it is `rootfs`, `.` or `/`.
 * @param lists further image lists, as files of this machine.
 */
export async function collectContainerImages(
  job: BuildJob,
  state: StageState,
  { source, dir }: { readonly source: string; readonly dir: string },
  lists: readonly string[] = [],
): Promise<Outcome> {
  const { reporter } = job;
  job.lock.begin(job.platform);
  const rootfs = { tree: await stageTree(job.store, state), layers: state.layers };
  const search = { ...job, cache: job.useCache ? job.cache : undefined };
  const found = await wantedImages(search, rootfs, dir, lists);
  for (const warning of found.warnings) reporter.warn(warning);
  for (const { name, why } of found.left) reporter.info(`  left out: ${name}, ${why}`);
  const carried = carriedNames(state.containerImages);
  const wanted = missingImages(found.images, carried);
  for (const image of wanted) reporter.info(`  ${image.name}  ${firstPlace(image)}`);
  const there = found.images.length - wanted.length;
  if (there > 0) reporter.info(`  ${there} ${there === 1 ? 'image is' : 'images are'} carried already`);
  if (wanted.length === 0) return { state, cached: false };

  const images = await resolveImages(job, wanted);
  const containerImages: ContainerImage[] = [
    ...state.containerImages,
    ...wanted.flatMap((image) => entriesOf(image, job.platform)),
  ];
  const contents = images.map(({ image, descriptor, indexes }) => [
    image.name,
    descriptor.digest,
    indexes.map(({ digest }) => digest),
  ]);
  const scope = digestOf(JSON.stringify(['container images', contents]));
  const key = nextKey(state.key, 'BASE', scope);
  const record = job.useCache ? await job.cache.get(scope, scope) : undefined;
  if (record !== undefined) {
    const notes = Array.isArray(record.note) ? record.note.map(String) : [];
    const facts = { cached: true, created: record.created, notes };
    const done = instructionDone(state, { source }, record.layers, key, facts);
    return { state: { ...done.state, containerImages }, cached: true };
  }
  await fetchMissing(job, images);
  const made = await makeLayers(job, images);
  const created = createdTime(job);
  const layers = made.map(({ layer }) => layer);
  const notes = made.map(({ note }) => note);
  await job.cache.put(scope, scope, { layers, created, note: notes });
  const done = instructionDone(state, { source }, layers, key, { cached: false, created, notes });
  return { state: { ...done.state, containerImages }, cached: false };
}

/** One entry for each application that names the image, as sealer has it; one without a name when none does. */
function entriesOf({ name, places }: WantedImage, platform: Platform): ContainerImage[] {
  const apps = new Set(places.flatMap(({ file }) => applicationAt(file) ?? []));
  const common = { image: name, platform: { ...platform } };
  return apps.size === 0 ? [common] : [...apps].map((appName) => ({ ...common, appName }));
}

/** The canonical names of images that an image says it carries; a name that cannot be read is passed over: the image is a stranger's. */
export function carriedNames(images: readonly ContainerImage[]): Set<string> {
  const names = new Set<string>();
  for (const { image } of images) {
    try {
      names.add(canonicalName(parseReference(image)));
    } catch {
      // not the name of anything that could be asked for
    }
  }
  return names;
}

async function makeLayers(
  job: BuildJob,
  images: readonly ResolvedImage[],
): Promise<{ readonly layer: StoredLayer; readonly note: string }[]> {
  const { distributionLayers } = await import('../../registry/distribution-tree.js');
  const carried: CarriedImage[] = images.map(({ image, descriptor, indexes }) => ({
    reference: image.reference,
    descriptor,
    indexes,
  }));
  const made: { layer: StoredLayer; note: string }[] = [];
  for (const part of await distributionLayers(job.store, carried))
    made.push({ layer: await partLayer(job, part), note: part.title });
  return made;
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
