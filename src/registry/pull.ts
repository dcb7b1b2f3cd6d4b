import { isSlipwayError } from '../base/errors.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import type { Digest } from '../image/digest.js';
import { CONFIG_LIMIT, configPlatform, type Descriptor, parseImageConfig } from '../image/oci.js';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.js';
import { parseReference, type Reference } from '../image/reference.js';
import { choosePlatform, readDocument } from '../store/local-image.js';
import type { Store } from '../store/store.js';
import type { Repository } from './client.js';
import type { ContentDocument, ContentSource } from './content.js';
import { type CopyResult, copyGraph } from './copy.js';
import { mayTryNext, placesToPullFrom } from './mirrors.js';
import type { RegistryOptions } from './options.js';
import { remoteSource } from './remote-content.js';
import { storeSource, storeTarget } from './store-content.js';

export interface PullOptions extends RegistryOptions {
  /** Which image of an index; default this machine's. */
  readonly platform?: Platform | undefined;
  /** Every image of an index, and the index itself. */
  readonly all?: boolean | undefined;
  /** The name in the store; default the name that was pulled. */
  readonly as?: string | undefined;
}

export interface PulledImage extends CopyResult {
  /** The name in the store. */
  readonly name: string;
  /** What the name stands for now: the manifest for the platform, or the index with `all`. */
  readonly descriptor: Descriptor;
  /** The `host/repository` that it came from: a mirror's when one had it. */
  readonly from: string;
}

/**
 * Pulls an image into the store and tags it with its name. Bytes are stored as the registry has them: a docker schema 2 image stays one.
 * What is in the store already is not fetched again. The tag appears when everything else is there.
 * @param text an image name; see {@link parseReference}.
 * @throws SlipwayError E_NOT_FOUND, E_UNAUTHORIZED, E_DIGEST_MISMATCH, E_REGISTRY_UNREACHABLE …
 */
export async function pullImage(store: Store, text: string, options: PullOptions = {}): Promise<PulledImage> {
  return store.use(async () => {
    const pulled = await fetchImage(store, text, options);
    await store.tag(pulled.name, pulled.descriptor);
    return pulled;
  });
}

/**
 * {@link pullImage} without the tag: nothing but the caller keeps what was fetched from being collected, so it must hold
 * `store.use` until something names it.
 */
export async function fetchImage(store: Store, text: string, options: PullOptions = {}): Promise<PulledImage> {
  const reference = parseReference(text);
  const { reporter = silentReporter } = options;
  const places = placesToPullFrom(reference, options);
  for (const [index, place] of places.entries()) {
    try {
      return await fetchFrom(store, place, reference, options, reporter);
    } catch (error) {
      if (index === places.length - 1 || !mayTryNext(error)) throw error;
      reporter.warn(`${isSlipwayError(error) ? error.message : error}; trying the next place`);
    }
  }
  throw new Error('unreachable: the last place throws');
}

async function fetchFrom(
  store: Store,
  repository: Repository,
  reference: Reference,
  { platform, all = false, as }: PullOptions,
  reporter: Reporter,
): Promise<PulledImage> {
  const label = `${repository.host}/${repository.name}`;
  const found = await repository.resolve(reference.digest ?? reference.tag ?? 'latest');
  const source = withKnownDocuments(remoteSource(repository), storeSource(store));
  const root = all ? found : await choose(source, found, platform, reference.name);
  const result = await copyGraph(source, storeTarget(store), root, {
    reporter,
    onBlob: ({ digest }) => store.noteSource(digest, repository.host, repository.name),
  });
  const name = as === undefined ? reference.name : parseReference(as).name;
  if (platform !== undefined && !all) await warnOfPlatform(store, root, platform, name, reporter);
  return { name, descriptor: root, from: label, ...result };
}

/** The manifest for the platform when `found` is an index (of indexes); `found` itself otherwise. */
async function choose(
  source: ContentSource,
  found: Descriptor,
  platform: Platform | undefined,
  name: string,
): Promise<Descriptor> {
  const { descriptor, document } = await source.document(found);
  if (document.kind === 'manifest') return descriptor;
  return choose(source, choosePlatform(document.index.manifests, platform, name), platform, name);
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
