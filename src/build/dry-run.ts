import type { Platform } from '../image/platform.js';
import type { Instruction } from '../kubefile-parser/ast.js';
import type { LayerToc, PackEntry } from '../layers/toc.js';
import type { StoredLayer } from '../store/layer-store.js';
import type { StageState } from './stage.js';

/** A layer that a dry run would make: what is in it is known, no blob holds it. */
export interface PlannedLayer {
  readonly layer: StoredLayer;
  readonly toc: LayerToc;
  /** By path. */
  readonly entries: ReadonlyMap<string, PackEntry>;
}

/** A build that finds out what would be in the image, and packs, runs and downloads nothing. */
export interface DryRun {
  /** Keeps a layer that a real build would pack. */
  plan(entries: readonly PackEntry[]): PlannedLayer;
  /** Executes an instruction, or not, in place of `execute`. */
  instruction(instruction: Instruction, state: StageState, execute: () => Promise<StageState>): Promise<StageState>;
  /** A base image. */
  image(name: string, platform: Platform): Promise<StageState>;
}

const planned = new WeakMap<StoredLayer, PlannedLayer>();

/** Remembers that a layer is only planned. */
export function rememberPlanned(layer: PlannedLayer): PlannedLayer {
  planned.set(layer.layer, layer);
  return layer;
}

/** What is known of a layer that was planned; undefined for one that is in the store. */
export function plannedLayer(layer: StoredLayer): PlannedLayer | undefined {
  return planned.get(layer);
}
