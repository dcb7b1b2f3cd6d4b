import type { Digest } from '../../image/digest.js';

/** Something of the store that is not what it should be. */
export interface Damage {
  /**
   * `index`: index.json. `blob`: content of an image. `image`: its documents contradict each other. `toc`, `unpacked-layer`,
   * `cache-record`: derived, made again from blobs when they are needed.
   */
  readonly kind: 'index' | 'blob' | 'image' | 'toc' | 'unpacked-layer' | 'cache-record';
  /** What it is: a digest, an image name, a file below the root. */
  readonly id: string;
  /** Completes the sentence "ID …". */
  readonly problem: string;
  /** The names of the images that need it, sorted; `mount at DIR` for what is mounted. */
  readonly images: readonly string[];
  /** What the person does next. */
  readonly next: string;
}

/** Something that a repair has mended. */
export interface Mended {
  readonly kind: Damage['kind'];
  readonly id: string;
  readonly action: string;
}

/** What a check found; the JSON of `slipway store check` (docs/images.md). */
export interface CheckReport {
  readonly root: string;
  readonly checked: {
    readonly images: number;
    readonly blobs: number;
    readonly bytes: number;
    readonly tocs: number;
    readonly unpackedLayers: number;
    readonly cacheRecords: number;
  };
  /** What is damaged now; empty for a store that is whole. */
  readonly damaged: readonly Damage[];
  readonly mended: readonly Mended[];
  /** Blobs that nothing reaches: not damage, `slipway prune` frees them. */
  readonly unreferenced: { readonly blobs: number; readonly bytes: number };
  /** Unpacked layers of other users, or of user namespaces: only there their owners can be compared. */
  readonly unpackedElsewhere: number;
  /** What killed processes left in tmp/: not damage, the next command that writes sweeps it. */
  readonly leftovers: { readonly entries: number; readonly bytes: number };
  /** Files in blobs/ that are no blobs. They are left alone. */
  readonly strangers: readonly string[];
}

/** A blob that images need and that is not here whole: what a repair looks for elsewhere. */
export interface Lost {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
  /** A damaged file is in its place. */
  readonly present: boolean;
  readonly images: readonly string[];
  /** Other blobs of the same images: where those came from, this one may be too. */
  readonly siblings: readonly Digest[];
}
