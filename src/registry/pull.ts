import type { Platform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';
import type { Store } from '../store/store.js';
import { type ContentDocument, withKnownDocuments } from './content.js';
import type { RegistryOptions } from './options.js';
import { type CopiedImage, chooseImage, copyImage } from './places/copy-image.js';
import { withRegistrySource } from './places/registry-place.js';
import { withStoreTarget } from './places/store-place.js';
import { storeSource } from './store-content.js';

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

export interface FetchedImage extends CopiedImage {
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
  return { name, ...(await fetchTo(store, name, text, options)) };
}

/** {@link pullImage} without a tag: for a caller that uses the content while it holds the store ({@link Store.use}). */
export function fetchImage(store: Store, text: string, options: FetchOptions = {}): Promise<FetchedImage> {
  return fetchTo(store, null, text, options);
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
  return withRegistrySource(reference, options, async (source) => {
    const content = withKnownDocuments(source.content, storeSource(store));
    const through: ContentDocument[] = [];
    const chosen = await chooseImage(content, source.root, options.platform, reference.name, through);
    return { document: await content.document(chosen), through };
  });
}

function fetchTo(store: Store, name: string | null, text: string, options: FetchOptions): Promise<FetchedImage> {
  return store.use(() =>
    withStoreTarget(store, name, (target) =>
      withRegistrySource(parseReference(text), options, async (source) => {
        const { host, repository } = source.repository;
        return { from: `${host}/${repository}`, ...(await copyImage(source, target, options)) };
      }),
    ),
  );
}
