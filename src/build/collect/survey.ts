import type { Digest } from '../../image/digest.js';
import { canonicalName, parseReference, registryAddress } from '../../image/reference.js';
import type { MergedTree } from '../../layers/merge.js';
import type { Place } from './found-image.js';
import type { WantedImage, WantedImages } from './wanted-images.js';

/** A place with the file of the build context that its file comes from. */
export interface SurveyedPlace extends Place {
  /** Relative to the context. */
  readonly origin?: string | undefined;
}

/** A container image of a build context or a cluster image. */
export interface SurveyedImage {
  /** Canonical; `repository:tag` without a host for what is only in `registry/`, which knows no hosts. */
  readonly name: string;
  /** Empty when nothing asks for it. */
  readonly places: readonly SurveyedPlace[];
  /** In `registry/` of the image, or of the base image. */
  readonly carried: boolean;
  /** What the lock file says; undefined when there is none, or it does not have the image. */
  readonly locked?: Digest | undefined;
}

export interface Survey {
  readonly images: readonly SurveyedImage[];
  readonly left: WantedImages['left'];
  readonly warnings: readonly string[];
}

const REPOSITORIES = 'registry/docker/registry/v2/repositories';

/** Whether `registry/` of a rootfs has an image under the name that the cluster asks for. */
export function isInRegistry(tree: MergedTree, name: string): boolean {
  const reference = parseReference(name);
  const manifests = `${REPOSITORIES}/${registryAddress(reference).repository}/_manifests`;
  const { digest, tag } = reference;
  const link =
    digest === undefined ? `tags/${tag ?? 'latest'}/current/link` : `revisions/${digest.replace(':', '/')}/link`;
  return tree.get(`${manifests}/${link}`) !== undefined;
}

/** Every `repository:tag` of `registry/`, sorted. */
export function namesInRegistry(tree: MergedTree): string[] {
  const names: string[] = [];
  const visit = (dir: string): void => {
    for (const { entry } of tree.children(dir)) {
      if (entry.type !== 'dir') continue;
      if (!entry.path.endsWith('/_manifests')) {
        if (!/\/_(?:layers|uploads)$/.test(entry.path)) visit(entry.path);
        continue;
      }
      const repository = dir.slice(REPOSITORIES.length + 1);
      for (const tag of tree.children(`${entry.path}/tags`))
        names.push(`${repository}:${tag.entry.path.slice(entry.path.length + '/tags/'.length)}`);
    }
  };
  visit(REPOSITORIES);
  return names.sort();
}

/** The name that `registry/` has an image under: without the host. */
export function nameInRegistry(name: string): string {
  const reference = parseReference(name);
  return `${registryAddress(reference).repository}:${reference.tag ?? ''}`;
}

/** Several searches of one image as one: places of the same image come together. */
export function joinWanted(parts: readonly WantedImages[]): WantedImages {
  const images = new Map<string, WantedImage>();
  for (const { images: some } of parts) {
    for (const image of some) {
      const known = images.get(image.name);
      const places = known === undefined ? image.places : distinct([...known.places, ...image.places]);
      const [first = image.places[0], ...more] = places;
      images.set(image.name, { ...image, places: [first, ...more] });
    }
  }
  return {
    images: [...images.values()],
    warnings: [...new Set(parts.flatMap(({ warnings }) => warnings))],
    left: [...new Map(parts.flatMap(({ left }) => left).map((one) => [`${one.name} ${one.why}`, one])).values()].filter(
      ({ name }) => !images.has(name),
    ),
  };
}

function distinct(places: readonly Place[]): Place[] {
  return [...new Map(places.map((place) => [JSON.stringify(place), place])).values()];
}

/** The images whose names a person may mean: exactly that one, else all that hold the text. */
export function matchingImages(images: readonly SurveyedImage[], text: string): SurveyedImage[] {
  let exact: string | undefined;
  try {
    exact = canonicalName(parseReference(text));
  } catch {
    exact = undefined; // part of a name
  }
  const found = images.filter(({ name }) => name === exact || name === text);
  return found.length > 0 ? found : images.filter(({ name }) => name.includes(text));
}
