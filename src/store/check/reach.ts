import { isSlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { successors, visited } from '../../image/graph.js';
import { compressionOf, isDocumentType, isNondistributable } from '../../image/media-types.js';
import {
  CONFIG_LIMIT,
  type Descriptor,
  type ImageConfig,
  type ImageDocument,
  type Manifest,
  parseImageConfig,
} from '../../image/oci.js';
import type { CacheItem } from '../cache-items.js';
import { checkImage, readDocument } from '../local-image.js';
import type { Store } from '../store.js';

/** A blob that something names. */
export interface NamedBlob {
  readonly digest: Digest;
  readonly mediaType: string;
  /** What descriptors say; more than one when they contradict each other. */
  readonly sizes: Set<number>;
  /** What images say that it unpacks to. */
  readonly diffIds: Map<Digest, Set<string>>;
  /** Names of images, and `mount at DIR`. Empty: only the build cache names it. */
  readonly images: Set<string>;
  /** It may be absent: the image spec forbids to copy it. */
  readonly optional: boolean;
}

/** Everything that names, mounts and cache records reach, as far as documents can be read. */
export interface Reach {
  readonly blobs: ReadonlyMap<Digest, NamedBlob>;
  /** Images whose documents can be read and are wrong: name → why. */
  readonly malformed: ReadonlyMap<string, string>;
  /** The blobs that an image names. */
  readonly ofImage: ReadonlyMap<string, ReadonlySet<Digest>>;
}

export interface Root {
  readonly name: string;
  readonly descriptor: Descriptor;
}

/** Walks from the roots and the cache records to every blob. Blobs themselves are not verified here, documents are. */
export async function reachAll(store: Store, roots: readonly Root[], cache: readonly CacheItem[]): Promise<Reach> {
  const blobs = new Map<Digest, NamedBlob>();
  const malformed = new Map<string, string>();
  const ofImage = new Map<string, Set<Digest>>();
  const read = documentReader(store);
  const note = (descriptor: Descriptor, image?: string): NamedBlob => {
    const { digest, mediaType, size } = descriptor;
    const blob: NamedBlob = blobs.get(digest) ?? {
      digest,
      mediaType,
      sizes: new Set(),
      diffIds: new Map(),
      images: new Set(),
      optional: isNondistributable(mediaType),
    };
    blobs.set(digest, blob);
    blob.sizes.add(size);
    if (image !== undefined) blob.images.add(image);
    return blob;
  };
  const noteDiffIds = (image: string, { layers }: Manifest, { rootfs }: ImageConfig): void => {
    for (const [index, layer] of layers.entries()) {
      const diffId = rootfs.diff_ids[index];
      if (diffId === undefined || compressionOf(layer.mediaType) === undefined) continue;
      const { diffIds } = note(layer, image);
      diffIds.set(diffId, (diffIds.get(diffId) ?? new Set()).add(image));
    }
  };
  for (const { name, descriptor } of roots) {
    const seen = new Set<string>();
    const named = new Set<Digest>();
    ofImage.set(name, named);
    const visit = async (at: Descriptor): Promise<void> => {
      note(at, name);
      named.add(at.digest);
      if (seen.has(visited(at))) return;
      seen.add(visited(at));
      if (!isDocumentType(at.mediaType)) return;
      const found = await read(at, name);
      if (found.problem !== undefined) malformed.set(name, found.problem);
      if (found.document === undefined) return;
      for (const next of successors(found.document)) await visit(next);
      if (found.document.kind === 'manifest' && found.config !== undefined)
        noteDiffIds(name, found.document.manifest, found.config);
    };
    await visit(descriptor);
  }
  for (const { blobs: needed } of cache) {
    for (const { descriptor, diffId } of needed) {
      const { diffIds } = note(descriptor);
      if (diffId !== undefined && !diffIds.has(diffId)) diffIds.set(diffId, new Set());
    }
  }
  return { blobs, malformed, ofImage };
}

interface ReadDocument {
  readonly document?: ImageDocument;
  /** Of a manifest of an image; an artifact has none. */
  readonly config?: ImageConfig;
  readonly problem?: string;
}

/** Reads each document once. What is missing or damaged is told by the check of blobs, so that only what is malformed is a problem here. */
function documentReader(store: Store): (descriptor: Descriptor, name: string) => Promise<ReadDocument> {
  const known = new Map<Digest, Promise<ReadDocument>>();
  const readOne = async (descriptor: Descriptor, name: string): Promise<ReadDocument> => {
    let document: ImageDocument;
    try {
      document = await readDocument(store, descriptor, descriptor.digest);
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      return error.code === 'E_INVALID_MANIFEST' ? { problem: error.message } : {};
    }
    if (document.kind === 'index') return { document };
    try {
      await checkImage(store, name, descriptor);
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      if (error.code === 'E_INVALID_MANIFEST') return { document, problem: error.message };
      return { document };
    }
    try {
      const bytes = await store.readBlob(document.manifest.config, CONFIG_LIMIT);
      return { document, config: parseImageConfig(bytes, name) };
    } catch (error) {
      if (!isSlipwayError(error)) throw error;
      return { document }; // an artifact's config is no image config
    }
  };
  return (descriptor, name) => {
    const found = known.get(descriptor.digest) ?? readOne(descriptor, name);
    known.set(descriptor.digest, found);
    return found;
  };
}
