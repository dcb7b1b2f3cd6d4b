import type { Position } from '../../kubefile-parser/position.js';
import { type GrowingTree, growingTree } from '../../layers/merge.js';
import type { TocEntry } from '../../layers/toc.js';
import type { PlannedEntry } from '../copy/image-view.js';

/** Entries that are kept account of in one run, counting again those of stages that others are built from. */
const MOST_ENTRIES = 200_000;

/** Shared by all stages of a run: what is left to be spent, so that no file makes its linter work for minutes. */
export interface Budget {
  entries: number;
}

export function newBudget(): Budget {
  return { entries: MOST_ENTRIES };
}

interface SketchedLayer {
  readonly entries: readonly TocEntry[];
  readonly at: Position;
}

/** The files of a stage, as far as the Kubefile and the context tell. Nothing is built. */
export class StageFiles {
  /** False when something else may be there or may have gone: a base image that is not looked at, a RUN, a download. */
  complete: boolean;
  readonly #budget: Budget;
  readonly #layers: SketchedLayer[];
  readonly #sources: Map<TocEntry, string>;
  #tree: GrowingTree | undefined;

  constructor(budget: Budget, parent?: StageFiles, complete = true) {
    this.#budget = budget;
    this.complete = complete && (parent?.complete ?? true);
    this.#layers = parent === undefined ? [] : [...parent.#layers];
    this.#sources = parent === undefined ? new Map<TocEntry, string>() : new Map(parent.#sources);
    budget.entries -= this.#layers.length;
  }

  /** All of it is spent: nothing more is looked at. */
  get exhausted(): boolean {
    return this.#budget.entries <= 0;
  }

  get tree(): GrowingTree {
    if (this.#tree === undefined) {
      this.#tree = growingTree();
      for (const layer of this.#layers) {
        this.#tree.add(layer);
        this.spend(costOf(layer.entries));
      }
    }
    return this.#tree;
  }

  /** What an instruction brings. */
  add(entries: readonly PlannedEntry[], at: Position): void {
    const layer = { entries: entries.map((entry) => this.#sketch(entry)), at };
    this.tree.add(layer);
    this.#layers.push(layer);
    this.spend(costOf(layer.entries));
  }

  /** Work that was done on as many entries. */
  spend(entries: number): void {
    this.#budget.entries -= entries;
  }

  /** Where the layer of an entry was made. */
  madeAt(layer: number): Position | undefined {
    return this.#layers[layer]?.at;
  }

  /** The file of this machine that an entry's content comes from. */
  fileOf(entry: TocEntry): string | undefined {
    return this.#sources.get(entry);
  }

  #sketch({ content, ...facts }: PlannedEntry): TocEntry {
    const entry: TocEntry = { ...facts, offset: 0 };
    if (content?.in === 'directory') this.#sources.set(entry, content.file);
    return entry;
  }
}

/** Deep paths cost more. */
function costOf(entries: readonly TocEntry[]): number {
  return entries.reduce((sum, { path }) => sum + 1 + (path.length >> 6), 0);
}
