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
}

/** How a blob came to be at the target. */
export type Placement = 'exists' | 'mounted' | 'copied';

/** Somewhere content can be copied to. What is pushed becomes visible whole and verified, or not at all. */
export interface ContentTarget {
  readonly label: string;
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
