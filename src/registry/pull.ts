import { isSlipwayError, messageOf, SlipwayError } from '../base/errors.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import type { Digest } from '../image/digest.js';
import { CONFIG_LIMIT, configPlatform, type Descriptor, parseImageConfig } from '../image/oci.js';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.js';
import { parseReference, type Reference } from '../image/reference.js';
import { checkImage, choosePlatform, readDocument } from '../store/local-image.js';
import { LayerProver } from '../store/prove/layer-prover.js';
import type { Store } from '../store/store.js';
import type { Repository } from './client.js';
import type { ContentDocument, ContentSource } from './content.js';
import { type CopyResult, copyGraph } from './copy.js';
import { mayTryNext, placesToPullFrom } from './mirrors.js';
import type { RegistryOptions } from './options.js';
import { remoteSource } from './remote-content.js';
import { storeSource, storeTarget } from './store-content.js';

export interface FetchOptions extends RegistryOptions {
  /** Which image of an index; default this machine's. */
  readonly platform?: Platform | undefined;
  /** Every image of an index, and the index itself. */
  readonly all?: boolean | undefined;
}

export interface PullOptions extends FetchOptions {
  /** The name in the store; default the name that was pulled. */
  readonly as?: string | undefined;
}

export interface FetchedImage extends CopyResult {
  /** The manifest for the platform, or the index with `all`. */
  readonly descriptor: Descriptor;
  /** The indexes that led to `descriptor`, the asked one first; not in the store. */
  readonly through: readonly ContentDocument[];
  /** The `host/repository` that it came from: a mirror's when one had it. */
  readonly from: string;
}

export interface PulledImage extends FetchedImage {
  /** The name in the store, which stands for the descriptor now. */
  readonly name: string;
}

/**
 * Pulls an image into the store and tags it with its name. Bytes are stored as the registry has them: a docker schema 2 image stays one.
 * What is in the store already is not fetched again. Layers are read while they arrive; the tag appears when all of them are proved.
 * @param text an image name; see {@link parseReference}.
 * @throws SlipwayError E_NOT_FOUND, E_UNAUTHORIZED, E_DIGEST_MISMATCH, E_REGISTRY_UNREACHABLE …
 */
export async function pullImage(store: Store, text: string, options: PullOptions = {}): Promise<PulledImage> {
  const { name } = parseReference(options.as ?? text);
  return store.use(async () => {
    const prover = new LayerProver(store);
    try {
      const fetched = await fetchImage(store, text, options, prover);
      await checkImage(store, name, fetched.descriptor, (image) => prover.prove(image));
      await store.tag(name, fetched.descriptor);
      return { name, ...fetched };
    } finally {
      await prover.close();
    }
  });
}

/**
 * {@link pullImage} without a tag: for a caller that uses the content while it holds the store ({@link Store.use}).
 * @param prover reads layers while they arrive; without one they are only compared with their digests.
 */
export async function fetchImage(
  store: Store,
  text: string,
  options: FetchOptions = {},
  prover?: LayerProver,
): Promise<FetchedImage> {
  const reference = parseReference(text);
  const { reporter = silentReporter } = options;
  return store.use(() =>
    firstPlace(reference, options, (place) => fetchFrom(store, place, reference, options, reporter, prover)),
  );
}

/** What a name stands for, without the content. */
export interface ResolvedName {
  /** The manifest for the platform. */
  readonly document: ContentDocument;
  /** The indexes that led to it, the asked one first. */
  readonly through: readonly ContentDocument[];
}

/**
 * What a name stands for at its registry, for one platform. Manifests are read, no blob is; nothing is stored.
 * @throws SlipwayError as {@link pullImage}.
 */
export async function resolveImage(store: Store, text: string, options: FetchOptions = {}): Promise<ResolvedName> {
  const reference = parseReference(text);
  return firstPlace(reference, options, async (repository) => {
    const found = await repository.resolve(reference.digest ?? reference.tag ?? 'latest');
    const source = withKnownDocuments(remoteSource(repository), storeSource(store));
    const through: ContentDocument[] = [];
    const chosen = await choose(source, found, options.platform, reference.name, through);
    return { document: await source.document(chosen), through };
  });
}

/** Asks the mirrors in turn, then the registry itself. */
async function firstPlace<T>(
  reference: Reference,
  options: FetchOptions,
  ask: (repository: Repository) => Promise<T>,
): Promise<T> {
  const places = placesToPullFrom(reference, options);
  for (const [index, place] of places.entries()) {
    try {
      return await ask(place);
    } catch (error) {
      if (index === places.length - 1 || !mayTryNext(error)) throw error;
      (options.reporter ?? silentReporter).warn(`${messageOf(error)}; trying the next place`);
    }
  }
  throw new SlipwayError('E_INTERNAL', 'there is no place to pull from');
}

async function fetchFrom(
  store: Store,
  repository: Repository,
  reference: Reference,
  { platform, all = false, signal }: FetchOptions,
  reporter: Reporter,
  prover: LayerProver | undefined,
): Promise<FetchedImage> {
  const found = await repository.resolve(reference.digest ?? reference.tag ?? 'latest');
  const source = withKnownDocuments(remoteSource(repository), storeSource(store));
  const through: ContentDocument[] = [];
  const root = all ? found : await choose(source, found, platform, reference.name, through);
  const result = await copyGraph(source, storeTarget(store, { prover }), root, {
    reporter,
    signal,
    onBlob: ({ digest }) => store.noteSource(digest, repository.host, repository.name),
  });
  await store.noteSource(root.digest, repository.host, repository.name);
  if (platform !== undefined && !all) await warnOfPlatform(store, root, platform, reference.name, reporter);
  return { descriptor: root, through, from: `${repository.host}/${repository.name}`, ...result };
}

/** The manifest for the platform when `found` is an index (of indexes), which are added to `through`; `found` itself otherwise. */
async function choose(
  source: ContentSource,
  found: Descriptor,
  platform: Platform | undefined,
  name: string,
  through: ContentDocument[],
): Promise<Descriptor> {
  const read = await source.document(found);
  if (read.document.kind === 'manifest') return read.descriptor;
  through.push(read);
  return choose(source, choosePlatform(read.document.index.manifests, platform, name), platform, name, through);
}

/** Documents are read once, and from the store when it has them: an image that has not changed costs one HEAD request. */
function withKnownDocuments(remote: ContentSource, local: ContentSource): ContentSource {
  const read = new Map<Digest, Promise<ContentDocument>>();
  const find = async (descriptor: Descriptor): Promise<ContentDocument> =>
    (await local.has?.(descriptor)) ? local.document(descriptor) : remote.document(descriptor);
  return {
    ...remote,
    document(descriptor) {
      const known = read.get(descriptor.digest) ?? find(descriptor);
      read.set(descriptor.digest, known);
      return known;
    },
  };
}

/** A single image is pulled whatever it is for, as docker does; the person who asked for another platform is told. */
async function warnOfPlatform(
  store: Store,
  descriptor: Descriptor,
  wanted: Platform,
  name: string,
  reporter: Reporter,
): Promise<void> {
  const document = await readDocument(store, descriptor, name);
  if (document.kind !== 'manifest') return;
  try {
    const config = parseImageConfig(await store.readBlob(document.manifest.config, CONFIG_LIMIT), name);
    const platform = configPlatform(config);
    if (samePlatform(platform, wanted)) return;
    reporter.warn(`${name} is for ${formatPlatform(platform)}, not for ${formatPlatform(wanted)}`);
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_MANIFEST')) throw error; // an artifact: its config is no image config
  }
}
