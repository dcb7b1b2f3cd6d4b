import { digestOf } from '../image/digest.js';
import { MEDIA } from '../image/media-types.js';
import type { LayerToc } from '../layers/toc.js';
import type { StoredLayer } from '../store/layer-store.js';
import type { PlannedEntry } from './copy/image-view.js';

/** A layer that a dry run would make: its files are known, no blob holds them. */
export interface PlannedLayer {
  readonly layer: StoredLayer;
  /** The `offset` of an entry is its index: there is no tar. */
  readonly toc: LayerToc;
  readonly entries: readonly PlannedEntry[];
}

const planned = new WeakMap<StoredLayer, PlannedLayer>();
let made = 0;

/** Makes a layer that exists in this process only. Its digests are no content's. */
export function planLayer(entries: readonly PlannedEntry[]): PlannedLayer {
  const diffId = digestOf(`planned layer ${++made} of process ${process.pid}`);
  const layer = { descriptor: { mediaType: MEDIA.layerTar, digest: diffId, size: 0 }, diffId };
  const toc = {
    diffId,
    unpackedSize: 0,
    entries: entries.map(({ content: _, ...entry }, offset) => ({ ...entry, offset })),
  };
  const plan = { layer, toc, entries };
  planned.set(layer, plan);
  return plan;
}

/** What is known of a layer that was planned; undefined for one that is in the store. */
export function plannedLayer(layer: StoredLayer): PlannedLayer | undefined {
  return planned.get(layer);
}
