import type { History } from '../../image/oci.js';

/** The history of one of the images, and which of its layers are in the result. */
export interface HistorySide {
  readonly name: string;
  readonly history: readonly History[];
  readonly layers: number;
  /** Its lowest layers that come from the base it shares with an earlier image. */
  readonly shared: number;
  readonly kept: ReadonlySet<number>;
  /** RFC 3339, of the image. */
  readonly created: string | undefined;
}

/**
 * The history of a merged image: that of each image, without what made layers that are not in the result, and without the instructions of a base that
 * an earlier image has told already. An image whose history does not fit its layers gets one line for each layer.
 */
export function mergeHistory(sides: readonly HistorySide[]): History[] {
  return sides.flatMap(historyOf);
}

function historyOf({ name, history, layers, shared, kept, created }: HistorySide): History[] {
  const made = history.filter(({ empty_layer }) => empty_layer !== true).length;
  if (made !== layers) {
    const line: History = { ...(created === undefined ? {} : { created }), created_by: `merged from ${name}` };
    return Array.from(kept, () => line);
  }
  const lines: History[] = [];
  let layer = 0;
  for (const line of history) {
    if (line.empty_layer === true) {
      // The settings of a shared base were told with it.
      if (shared === 0 || layer >= shared) lines.push(line);
    } else if (kept.has(layer++)) lines.push(line);
  }
  return lines;
}
