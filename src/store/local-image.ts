import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import { choosePlatform } from '../image/choose-platform.js';
import { type ClusterImageInfo, readClusterImage } from '../image/cluster-image.js';
import { type Digest, isDigest } from '../image/digest.js';
import { MEDIA } from '../image/media-types.js';
import {
  CONFIG_LIMIT,
  configPlatform,
  type Descriptor,
  type ImageConfig,
  type ImageDocument,
  MANIFEST_LIMIT,
  type Manifest,
  parseImageConfig,
  parseImageDocument,
} from '../image/oci.js';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.js';
import { canonicalName, parseReference, type Reference, sameName } from '../image/reference.js';
import type { StoredImage } from './image-index.js';
import { findPinned } from './pins.js';
import type { Store } from './store.js';

/** An image of the store for one platform, read and verified. */
export interface LocalImage {
  /** The name it was asked for by, as `images` shows it. */
  readonly name: string;
  /** Of the manifest (not of the index that led to it). */
  readonly descriptor: Descriptor;
  /** What it was asked for by stands for: the index that led to the manifest, or the manifest. */
  readonly top: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly platform: Platform;
  /** Undefined for an ordinary container image. */
  readonly cluster: ClusterImageInfo | undefined;
}

/**
 * What a name, a digest, or the beginning of a digest (at least 4 hexadecimal digits, as `images` shows it) stands for.
 * @throws SlipwayError E_NOT_FOUND with the nearest name as a hint, E_INVALID_REFERENCE.
 */
export async function findImage(
  store: Store,
  text: string,
): Promise<{ readonly name: string; readonly descriptor: Descriptor }> {
  const images = await store.images();
  const names = images.map(({ name }) => name);
  // A name comes first: `cafe` may be both.
  const named = images.find(({ name }) => name === text || name === `${text}:latest`);
  if (named !== undefined) return named;
  const id = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (/^[a-f0-9]{4,64}$/.test(id)) {
    const matches = images.filter(({ descriptor }) => descriptor.digest.startsWith(`sha256:${id}`));
    const digests = new Set(matches.map(({ descriptor }) => descriptor.digest));
    const [first] = matches;
    if (first !== undefined && digests.size === 1) return first;
    if (first !== undefined) {
      throw new SlipwayError(
        'E_INVALID_REFERENCE',
        `${JSON.stringify(text)} is the beginning of ${digests.size} images`,
        {
          hint: 'give more digits',
        },
      );
    }
    const pinned = await findPinned(store, text);
    if (pinned !== undefined) return pinned;
  }
  if (isDigest(text)) throw notFound(text, names);
  const reference = parseReference(text);
  const { name: wanted, digest } = reference;
  const found = images.find(({ name }) => name === wanted) ?? inAnotherForm(images, wanted);
  if (digest !== undefined) {
    const here = await ofPlatform(store, found, digest);
    if (here !== undefined) return here;
    const pinned = await findPinned(store, digest);
    if (pinned !== undefined && sameName(pinned.name, wanted)) return pinned;
    return withDigest(images, found, text, reference, digest);
  }
  if (found === undefined) throw notFound(wanted, names);
  return found;
}

/** A digest may be that of one platform of the index that the name stands for. */
async function ofPlatform(
  store: Store,
  image: StoredImage | undefined,
  digest: Digest,
): Promise<StoredImage | undefined> {
  if (image === undefined || image.descriptor.digest === digest) return image;
  const document = await readDocument(store, image.descriptor, image.name);
  const found = document.kind === 'index' ? document.index.manifests.find((one) => one.digest === digest) : undefined;
  return found === undefined ? undefined : { name: image.name, descriptor: found };
}

/** By a name that is the same at Docker Hub; the one without a host first. */
function inAnotherForm(images: readonly StoredImage[], wanted: string): StoredImage | undefined {
  const same = images.filter(({ name }) => sameName(name, wanted));
  return same.find(({ name }) => !name.startsWith('docker.io/')) ?? same[0];
}

/**
 * `NAME:TAG@DIGEST` is the image of that name when it has the digest, `NAME@DIGEST` one of any tag.
 * @param named what the name without the digest, or all of `text`, stands for.
 */
function withDigest(
  images: readonly StoredImage[],
  named: StoredImage | undefined,
  text: string,
  { tag, ...reference }: Reference,
  digest: Digest,
): StoredImage {
  if (named?.descriptor.digest === digest) return named;
  const same = images.filter(({ descriptor }) => descriptor.digest === digest);
  const repository = canonicalName({ ...reference, tag: undefined, digest: undefined });
  const tagged = tag === undefined ? same.find(({ name }) => isOf(repository, name)) : undefined;
  if (tagged !== undefined) return tagged;
  const others = same.map(({ name }) => name);
  const found = named === undefined ? `no image ${text} in the store` : `${named.name} in the store has another digest`;
  if (named === undefined && others.length === 0)
    throw notFound(
      text,
      images.map(({ name }) => name),
    );
  throw new SlipwayError(
    'E_NOT_FOUND',
    others.length === 0
      ? `${found}, ${named?.descriptor.digest}, not ${digest}`
      : `${found}: ${digest} is ${others.join(', ')}`,
    {
      hint:
        others.length === 0
          ? `"slipway pull ${text}" downloads it`
          : `use that name, or leave the name away: ${digest}`,
    },
  );
}

function isOf(repository: string, name: string): boolean {
  try {
    return canonicalName({ ...parseReference(name), tag: undefined, digest: undefined }) === repository;
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_REFERENCE')) throw error;
    return false; // another program may have written any text
  }
}

/**
 * Reads an image of the store. An index is resolved to the wanted platform (default: this machine's, or the only one there is).
 * @throws SlipwayError E_NOT_FOUND, E_INVALID_MANIFEST, E_DIGEST_MISMATCH …
 */
export async function readImage(store: Store, text: string, platform?: Platform): Promise<LocalImage> {
  const { name, descriptor } = await findImage(store, text);
  return readImageAt(store, name, descriptor, platform);
}

/** {@link readImage} for a descriptor that is known already. `name` is for messages. */
export async function readImageAt(
  store: Store,
  name: string,
  descriptor: Descriptor,
  wanted?: Platform,
  top = descriptor,
): Promise<LocalImage> {
  const document = await readDocument(store, descriptor, name);
  if (document.kind === 'index') {
    return readImageAt(store, name, choosePlatform(document.index.manifests, wanted, name), wanted, top);
  }
  const { manifest } = document;
  const config = await readConfig(store, manifest, name);
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new SlipwayError(
      'E_INVALID_MANIFEST',
      `${name}: the manifest has ${manifest.layers.length} layers, its config ${config.rootfs.diff_ids.length}`,
    );
  }
  const platform = configPlatform(config);
  if (wanted !== undefined && !samePlatform(platform, wanted)) {
    throw new SlipwayError(
      'E_NOT_FOUND',
      `${name} is for ${formatPlatform(platform)}, ${formatPlatform(wanted)} is wanted`,
      {
        hint: `pull it for that platform: slipway pull --platform ${formatPlatform(wanted)} ${name}`,
      },
    );
  }
  return { name, descriptor, top, manifest, config, platform, cluster: readClusterImage(manifest, name) };
}

async function readConfig(store: Store, { config, artifactType }: Manifest, name: string): Promise<ImageConfig> {
  try {
    return parseImageConfig(await store.readBlob(config, CONFIG_LIMIT), `${name}: config`);
  } catch (error) {
    if (!isSlipwayError(error, 'E_INVALID_MANIFEST') || CONFIG_TYPES.includes(config.mediaType)) throw error;
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${name} is an artifact (${artifactType ?? config.mediaType}), not an image`,
      {
        hint: 'artifacts can be copied: pull, push, save, load, tag; there is no file system in them',
        details: { artifact: true },
        cause: error,
      },
    );
  }
}

/**
 * Proves that an image can be read before it gets a name: documents, config, annotations, and that config and manifest agree. An artifact
 * (a manifest whose config is no image config) has nothing to prove; of an index only what is here.
 * @param more what else is to be proved of each image. @param seen what has been proved already.
 * @throws SlipwayError E_INVALID_MANIFEST …
 */
export async function checkImage(
  store: Store,
  name: string,
  descriptor: Descriptor,
  more: (image: LocalImage) => Promise<void> = async () => {},
  seen: Set<Digest> = new Set(),
): Promise<void> {
  // Indexes may lead to the same thing by as many ways as somebody likes.
  if (seen.has(descriptor.digest)) return;
  seen.add(descriptor.digest);
  const document = await readDocument(store, descriptor, name);
  if (document.kind === 'index') {
    for (const manifest of document.index.manifests) {
      if ((await store.blobSize(manifest.digest)) !== undefined) await checkImage(store, name, manifest, more, seen);
    }
  } else if (CONFIG_TYPES.includes(document.manifest.config.mediaType)) {
    await more(await readImageAt(store, name, descriptor));
  }
}

const CONFIG_TYPES: readonly string[] = [MEDIA.config, MEDIA.dockerConfig];

/** The manifest or index behind a descriptor. */
export async function readDocument(store: Store, descriptor: Descriptor, what: string): Promise<ImageDocument> {
  return parseImageDocument(await store.readBlob(descriptor, MANIFEST_LIMIT), descriptor.mediaType, what);
}

function notFound(text: string, names: readonly string[]): SlipwayError {
  const near = nearName(text, names);
  return new SlipwayError('E_NOT_FOUND', `no image ${text} in the store`, {
    hint:
      near === undefined
        ? `"slipway images" shows what is there, "slipway pull ${text}" downloads it`
        : `did you mean ${near}?`,
  });
}

/** The name that was perhaps meant: another tag of the same, or what is written nearly so, with or without its tag. */
export function nearName(text: string, names: readonly string[]): string | undefined {
  const withoutTag = (name: string): string => name.replace(/(?::[^/:@]*)?(?:@.*)?$/, '');
  const ofRepository = (repository: string | undefined): readonly string[] =>
    names.filter((name) => withoutTag(name) === repository);
  const own = ofRepository(withoutTag(text));
  if (own.length > 0) return suggest(text, own) ?? own[0];
  return suggest(text, names) ?? ofRepository(suggest(withoutTag(text), names.map(withoutTag)))[0];
}
