import { open } from 'node:fs/promises';
import * as z from 'zod';
import { errnoOf, isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import { type Digest, digestOf } from '../../image/digest.js';
import { formatPlatform, type Platform, samePlatform } from '../../image/platform.js';
import { canonicalName, type Reference } from '../../image/reference.js';
import type { Store } from '../../store/store.js';
import type { InstructionCache } from '../cache/instruction-cache.js';
import type { ImageCollection } from './collection.js';
import { type Findings, type FoundImage, formatPlace, type Place, readImageName } from './found-image.js';
import type { Helm } from './helm.js';
import { parseIgnoredImages } from './ignored-images.js';
import { parseImageList } from './image-list.js';
import type { Rootfs } from './rootfs-files.js';
import { imageSources, type SearchOptions, type Sources, searchSources } from './rootfs-images.js';

/** An image that something of the rootfs, or a list, asks for. */
export interface WantedImage {
  /** As the first place wrote it. */
  readonly reference: Reference;
  /** {@link canonicalName}: equal names are one image. */
  readonly name: string;
  /** At least one. */
  readonly places: readonly [Place, ...Place[]];
}

export interface WantedImages {
  /** In the order in which they were found: lists first, then manifests and charts by path. */
  readonly images: readonly WantedImage[];
  readonly warnings: readonly string[];
  /** Images that were left out, with the reason. */
  readonly left: readonly { readonly name: string; readonly why: string }[];
}

/** What is needed to search a rootfs. */
export interface WantedJob {
  readonly store: Store;
  /** Remembers what was found in the same files; undefined to search anew. */
  readonly cache: Pick<InstructionCache, 'get' | 'put'> | undefined;
  readonly platform: Platform;
  readonly images: ImageCollection;
  readonly signal: AbortSignal;
}

/** Changes when the search finds something else in the same files. */
const SEARCH_VERSION = 1;
const LIST_LIMIT = 16 * 1024 * 1024;

/**
 * Everything a rootfs and the lists of the command line ask for.
 * @param dir BASE's directory: the rootfs itself when it is `rootfs`, `.` or `/`, and the image has no such directory with manifests.
 * @param lists further image lists, as files of this machine.
 */
export async function wantedImages(
  job: WantedJob,
  rootfs: Rootfs,
  dir: string,
  lists: readonly string[],
): Promise<WantedImages> {
  const { images } = job;
  const sources = imageSources(rootfs, homeOf(rootfs, dir));
  const found = await search(job, rootfs, sources);
  const listed = (await Promise.all(lists.map(async (file) => parseImageList(await readList(file), file)))).flat();
  const ignored = (
    await Promise.all(images.ignoredLists.map(async (file) => parseIgnoredImages(await readList(file), file)))
  ).flat();
  const warnings = [...found.warnings];
  const left: { name: string; why: string }[] = [];
  const used = new Set<string>();
  const wanted = new Map<string, { reference: Reference; name: string; places: [Place, ...Place[]] }>();
  for (const { reference, place, platforms } of [...listed, ...found.images]) {
    const name = canonicalName(reference);
    const rule = ignored.find((one) => one.matches(reference));
    if (rule !== undefined) {
      used.add(rule.where);
      left.push({ name, why: `ignored by ${rule.where}` });
    } else if (platforms !== undefined && !platforms.some((one) => samePlatform(one, job.platform))) {
      left.push({ name, why: `only for ${platforms.map(formatPlatform).join(', ')} (${formatPlace(place)})` });
    } else {
      const known = wanted.get(name);
      if (known === undefined) wanted.set(name, { reference, name, places: [place] });
      else known.places.push(place);
    }
  }
  for (const { where, pattern } of ignored)
    if (!used.has(where)) warnings.push(`${where}: nothing asks for ${pattern}`);
  return { images: [...wanted.values()], warnings, left: left.filter(({ name }) => !wanted.has(name)) };
}

function homeOf({ tree }: Pick<Rootfs, 'tree'>, dir: string): string {
  const clean = dir
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
  return clean === 'rootfs' && tree.get('rootfs/manifests') === undefined ? '' : clean;
}

const findingsSchema = z.object({
  images: z.array(
    z.object({
      name: z.string(),
      file: z.string(),
      line: z.number().optional(),
      what: z.string().optional(),
      platforms: z
        .array(z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }))
        .optional(),
    }),
  ),
  warnings: z.array(z.string()),
});

/** {@link searchSources}; what was found in exactly these files before is not searched for again. */
async function search(job: WantedJob, rootfs: Rootfs, sources: Sources): Promise<Findings> {
  const { store, cache, images, signal } = job;
  const rendering = images.charts === 'auto' && sources.charts.length > 0;
  const helm = rendering ? await (await import('./helm.js')).findHelm() : undefined;
  const options: SearchOptions = { fromArgs: images.fromArgs, charts: images.charts, helm, signal };
  const key = cache === undefined ? undefined : searchKey(sources, options, helm);
  if (cache === undefined || key === undefined) return searchSources(store, rootfs, sources, options);
  const known = findingsSchema.safeParse((await cache.get(key, key))?.note);
  if (known.success) {
    const images = known.data.images.flatMap(({ name, file, line, what, platforms }): FoundImage[] => {
      const { reference } = readImageName(name);
      return reference === undefined ? [] : [{ reference, place: { file, line, what }, platforms }];
    });
    // A record of a shared cache may hold anything; one with a name that is none is not believed.
    if (images.length === known.data.images.length) return { images, warnings: known.data.warnings };
  }
  const found = await searchSources(store, rootfs, sources, options);
  const note: z.infer<typeof findingsSchema> = {
    images: found.images.map(({ reference, place, platforms }) => ({
      name: writtenName(reference),
      ...place,
      platforms: platforms?.map((one) => ({ ...one })),
    })),
    warnings: found.warnings,
  };
  await cache.put(key, key, { layers: [], created: new Date().toISOString(), note });
  return found;
}

/** Everything that decides what is found; undefined when the content of a file is not known by its digest. */
function searchKey(sources: Sources, options: SearchOptions, helm: Helm | undefined): Digest | undefined {
  const charts = sources.charts.flatMap(({ files, overrides }) => [...files, ...overrides]);
  const files = [
    ...sources.lists,
    ...sources.manifests,
    ...(sources.metadata === undefined ? [] : [sources.metadata]),
    ...charts,
  ];
  const contents = files.map(({ path, entry }) => [path, entry.digest]);
  if (contents.some(([, digest]) => digest === undefined)) return undefined;
  const facts = [
    'images of a rootfs',
    SEARCH_VERSION,
    options.fromArgs,
    options.charts,
    helm?.identity ?? '',
    contents,
  ];
  return digestOf(JSON.stringify(facts));
}

/** With tag and digest both. */
function writtenName({ name, tag, digest }: Reference): string {
  return tag !== undefined && digest !== undefined ? `${name}@${digest}` : name;
}

/** A list of the command line: a regular file, or a pipe (`<(command)`), of bounded size. */
async function readList(file: string): Promise<string> {
  try {
    const handle = await open(file, 'r');
    try {
      const pieces: Buffer[] = [];
      let size = 0;
      for await (const piece of handle.createReadStream({ autoClose: false })) {
        size += (piece as Buffer).length;
        if (size > LIST_LIMIT) throw new SlipwayError('E_UNSUPPORTED', `the list ${file} has over ${LIST_LIMIT} bytes`);
        pieces.push(piece as Buffer);
      }
      return Buffer.concat(pieces).toString('utf8');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (isSlipwayError(cause)) throw cause;
    const why = errnoOf(cause) === 'ENOENT' ? 'no such file' : messageOf(cause);
    throw new SlipwayError('E_NOT_FOUND', `cannot read the image list ${file}: ${why}`, { cause });
  }
}

/** The images that nobody carries yet. */
export function missingImages(wanted: readonly WantedImage[], carried: ReadonlySet<string>): WantedImage[] {
  return wanted.filter(({ name }) => !carried.has(name));
}

/** `manifests/web.yaml:12 (+2 more)`. */
export function firstPlace({ places }: Pick<WantedImage, 'places'>): string {
  const [first, ...more] = places;
  return `${formatPlace(first)}${more.length === 0 ? '' : ` (+${more.length} more)`}`;
}
