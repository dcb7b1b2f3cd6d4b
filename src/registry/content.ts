import type { Digest } from '../image/digest.js';
import type { Descriptor } from '../image/oci.js';
import type { RemoteDocument } from './manifests.js';

/** A manifest or index with its bytes, verified. */
export type ContentDocument = RemoteDocument;

/** Somewhere content can be copied from: a store, a registry, an archive. */
export interface ContentSource {
  /** Names the place in messages. */
  readonly label: string;
  /** A manifest or index, verified and bounded. @throws SlipwayError E_NOT_FOUND, E_DIGEST_MISMATCH … */
  document(descriptor: Descriptor, signal?: AbortSignal): Promise<ContentDocument>;
  /**
   * The bytes of a blob from `start` up to but without `end`. Opened when first read. Not verified: the target does that.
   * Reading fails with E_NOT_FOUND when the blob is not there.
   */
  open(descriptor: Descriptor, start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Whether a blob is there; only where that is cheap to know. */
  has?(descriptor: Descriptor): Promise<boolean>;
  /** What it gives was verified when it came there. */
  readonly verified?: boolean;
}

/** How a blob came to be at the target. */
export type Placement = 'exists' | 'mounted' | 'copied';

/** Somewhere content can be copied to. What is pushed becomes visible whole and verified, or not at all. */
export interface ContentTarget {
  readonly label: string;
  /** Blobs that it takes at the same time; default six. */
  readonly parallel?: number;
  /** True when it is somebody else who computes the digests: what is given to it is verified before. */
  readonly trusting?: boolean;
  /** Told of all blobs of an image before the first one comes; for a target that has to give each its place beforehand. */
  expect?(blobs: readonly Descriptor[]): void;
  /** Whether a blob or document is there already. */
  has(descriptor: Descriptor, signal?: AbortSignal): Promise<boolean>;
  /** Takes a blob. `onProgress` is told the bytes that have arrived; negative when some must come again. */
  pushBlob(
    descriptor: Descriptor,
    open: (start: number, end: number) => AsyncIterable<Uint8Array>,
    onProgress: (bytes: number) => void,
    signal?: AbortSignal,
  ): Promise<Placement>;
  /** Takes a manifest or index; what it names is there already. */
  pushDocument(document: ContentDocument, signal?: AbortSignal): Promise<void>;
}

/**
 * Documents are read once, and from where they are already: an image that has not changed costs one request. Blobs are `source`'s.
 * @param known has `has`.
 */
export function withKnownDocuments(source: ContentSource, known: ContentSource): ContentSource {
  const read = new Map<Digest, Promise<ContentDocument>>();
  const find = async (descriptor: Descriptor): Promise<ContentDocument> =>
    (await known.has?.(descriptor)) ? known.document(descriptor) : source.document(descriptor);
  return {
    ...source,
    document(descriptor) {
      const reading = read.get(descriptor.digest) ?? find(descriptor);
      read.set(descriptor.digest, reading);
      return reading;
    },
  };
}
