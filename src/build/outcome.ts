import type { Digest } from '../image/digest.js';
import type { History } from '../image/oci.js';
import { LAYER_NOTE } from '../store/describe.js';
import type { StoredLayer } from '../store/layer-store.js';
import { nextKey, type StageState, withLayers } from './stages/stage.js';

/** The stage after an instruction, and whether the cache had it. */
export interface Outcome {
  readonly state: StageState;
  readonly cached: boolean;
}

/** The outcome of an instruction that may make layers: each gets a line of history, or one says that nothing was changed. */
export function instructionDone(
  state: StageState,
  { source }: { readonly source: string },
  layers: readonly StoredLayer[],
  key: Digest,
  {
    cached,
    created,
    notes = [],
  }: { readonly cached: boolean; readonly created: string; readonly notes?: readonly string[] },
): Outcome {
  const history: History[] =
    layers.length === 0
      ? [{ created, created_by: source, empty_layer: true }]
      : layers.map((_, index) => ({
          created,
          created_by: source,
          ...(notes[index] ? { comment: `${LAYER_NOTE}${notes[index]}` } : {}),
        }));
  return { state: withLayers(state, layers, history, key), cached };
}

/** The outcome of an instruction that only changes the configuration. */
export function configDone(
  state: StageState,
  { source }: { readonly source: string },
  change: Partial<StageState>,
): Outcome {
  const history: History = { created_by: source, empty_layer: true };
  return {
    state: { ...state, ...change, history: [...state.history, history], key: nextKey(state.key, source, change) },
    cached: false,
  };
}
