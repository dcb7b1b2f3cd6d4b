import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import { type ClusterImageInfo, readClusterImage } from '../image/cluster-image.js';
import { isDigest } from '../image/digest.js';
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
import { formatPlatform, type Platform, samePlatform, thisPlatform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';
import type { Store } from './store.js';

/** An image of the store for one platform, read and verified. */
export interface LocalImage {
  /** The name it was asked for by, as `images` shows it. */
  readonly name: string;
  /** Of the manifest (not of the index that led to it). */
  readonly descriptor: Descriptor;
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
  const id = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (/^[a-f0-9]{4,64}$/.test(id)) {
    const matches = images.filter(({ descriptor }) => descriptor.digest.startsWith(`sha256:${id}`));
    const [first] = matches;
    if (first !== undefined && new Set(matches.map(({ descriptor }) => descriptor.digest)).size === 1) return first;
    if (first !== undefined) {
      throw new SlipwayError(
        'E_INVALID_REFERENCE',
        `${JSON.stringify(text)} is the beginning of ${matches.length} images`,
        { hint: 'give more digits' },
      );
    }
  }
  if (isDigest(text))
    throw notFound(
      text,
      images.map(({ name }) => name),
    );
  const reference = parseReference(text);
  const found = images.find(({ name }) => name === reference.name);
  if (found === undefined || (reference.digest !== undefined && found.descriptor.digest !== reference.digest)) {
    throw notFound(
      text,
      images.map(({ name }) => name),
    );
  }
  return found;
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
): Promise<LocalImage> {
  const document = await readDocument(store, descriptor, name);
  if (document.kind === 'index') {
    return readImageAt(store, name, choosePlatform(document.index.manifests, wanted, name), wanted);
  }
  const { manifest } = document;
  const config = parseImageConfig(await store.readBlob(manifest.config, CONFIG_LIMIT), `${name}: config`);
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
  return { name, descriptor, manifest, config, platform, cluster: readClusterImage(manifest, name) };
}

/** The manifest or index behind a descriptor. */
export async function readDocument(store: Store, descriptor: Descriptor, what: string): Promise<ImageDocument> {
  return parseImageDocument(await store.readBlob(descriptor, MANIFEST_LIMIT), descriptor.mediaType, what);
}

/**
 * The manifest of an index for a platform. Without a wish: this machine's, else the only one.
 * Entries that are no image (attestations, `unknown/unknown`) are passed over.
 * @throws SlipwayError E_NOT_FOUND that lists what there is.
 */
export function choosePlatform(
  manifests: readonly Descriptor[],
  wanted: Platform | undefined,
  name: string,
): Descriptor {
  const images = manifests.filter(({ platform }) => platform === undefined || platform.os !== 'unknown');
  const [only, second] = images;
  const exact = images.find(
    ({ platform }) => platform !== undefined && samePlatform(platform, wanted ?? thisPlatform()),
  );
  if (exact !== undefined) return exact;
  if (only !== undefined && second === undefined && (wanted === undefined || only.platform === undefined)) return only;
  const offered = images.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
  throw new SlipwayError('E_NOT_FOUND', `${name} has no image for ${formatPlatform(wanted ?? thisPlatform())}`, {
    hint: offered.length === 0 ? 'the index is empty' : `choose one with --platform: ${offered.join(', ')}`,
  });
}

function notFound(text: string, names: readonly string[]): SlipwayError {
  const near = suggest(text, names);
  return new SlipwayError('E_NOT_FOUND', `no image ${JSON.stringify(text)} in the store`, {
    hint: near === undefined ? `pull it with "slipway pull ${text}", or see "slipway images"` : `did you mean ${near}?`,
  });
}
