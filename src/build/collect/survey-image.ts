import { mergeTocs } from '../../layers/merge.js';
import { BuildCache } from '../../store/build-cache.js';
import { layersOf, readTocs } from '../../store/layer-store.js';
import type { LocalImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import { carriedNames } from './base.js';
import type { ImageCollection } from './collection.js';
import { isInRegistry, nameInRegistry, namesInRegistry, type Survey, type SurveyedImage } from './survey.js';
import { wantedImages } from './wanted-images.js';

/** What an image asks for, what it says it carries, and what its `registry/` has. Nothing is unpacked. */
export async function surveyImage(
  store: Store,
  image: LocalImage,
  images: ImageCollection,
  signal: AbortSignal,
): Promise<Survey> {
  const rootfs = { tree: mergeTocs(await readTocs(store, image)), layers: layersOf(image) };
  const job = { store, cache: new BuildCache(store), platform: image.platform, images, signal };
  const wanted = await wantedImages(job, rootfs, '/', images.lists);
  const asked: SurveyedImage[] = wanted.images.map(({ name, places }) => ({
    name,
    places,
    carried: isInRegistry(rootfs.tree, name),
  }));
  const known = new Set(asked.map(({ name }) => name));
  const recorded = [...carriedNames(image.cluster?.containerImages ?? [])]
    .filter((name) => !known.has(name))
    .map((name): SurveyedImage => ({ name, places: [], carried: isInRegistry(rootfs.tree, name) }));
  const named = new Set([...asked, ...recorded].map(({ name }) => nameInRegistry(name)));
  const others = namesInRegistry(rootfs.tree)
    .filter((name) => !named.has(name))
    .map((name): SurveyedImage => ({ name, places: [], carried: true }));
  return { images: [...asked, ...recorded, ...others], left: wanted.left, warnings: wanted.warnings };
}
