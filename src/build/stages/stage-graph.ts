import { formatPlatform, type Platform } from '../../image/platform.js';
import type { FromInstruction, Kubefile, Stage } from '../../kubefile-parser/ast.js';
import type { StageOrImage } from '../../kubefile-parser/parts.js';
import { findStage } from '../../kubefile-parser/stages.js';

/** Finished stages and images, for FROM, `--from=` and mounts. Each is made once, when it is first asked for. */
export interface StageSource<State> {
  /** The finished stage at this index of the file. */
  stage(index: number): Promise<State>;
  /** An image of the store, or one that is pulled. */
  image(name: string, platform: Platform): Promise<State>;
  /** What `--from=` names: an earlier stage, or an image for the platform of the build. */
  from(reference: StageOrImage): Promise<State>;
}

/** How stages and images are made. */
export interface StageMaker<State> {
  readonly run: (stage: Stage) => Promise<State>;
  readonly image: (name: string, platform: Platform) => Promise<State>;
  /** Of the build. */
  readonly platform: Platform;
}

/** A {@link StageSource}: stages that need each other wait for each other, others run at the same time. */
export function stageSource<State>({ stages }: Kubefile, make: StageMaker<State>): StageSource<State> {
  const running = new Map<number, Promise<State>>();
  const images = new Map<string, Promise<State>>();
  const once = <K>(map: Map<K, Promise<State>>, key: K, start: () => Promise<State>): Promise<State> => {
    const known = map.get(key);
    if (known !== undefined) return known;
    const started = start();
    // Whoever asked gets the failure; a second one asking later must not make it an unhandled one.
    started.catch(() => undefined);
    map.set(key, started);
    return started;
  };
  const stage = (index: number): Promise<State> =>
    once(running, index, async () => {
      const found = stages[index];
      if (found === undefined) throw new RangeError(`there is no stage ${index}`);
      return make.run(found);
    });
  const image = (name: string, platform: Platform): Promise<State> =>
    once(images, `${formatPlatform(platform)} ${name}`, () => make.image(name, platform));
  return {
    stage,
    image,
    from: ({ stage: index, name }) => (index === undefined ? image(name, make.platform) : stage(index)),
  };
}

/**
 * Runs all of the given stages at once (those that need others wait for them) and gives the last. The first failure stops the others
 * through `stop`, and is thrown when nothing of them runs any more.
 */
export async function runStages<State>(
  source: StageSource<State>,
  indexes: readonly number[],
  stop: (reason: unknown) => void,
): Promise<State | undefined> {
  let failure: { readonly error: unknown } | undefined;
  const settled = await Promise.allSettled(
    indexes.map((index) =>
      source.stage(index).catch((error: unknown) => {
        failure ??= { error }; // what the stop causes in other stages comes later
        stop(error);
        throw error;
      }),
    ),
  );
  if (failure !== undefined) throw failure.error;
  const last = settled.at(-1);
  return last?.status === 'fulfilled' ? last.value : undefined;
}

/**
 * The stages a target needs, itself last, in the order of the file: through FROM, `COPY --from` and mounts.
 * @param imageOf the expanded name in a FROM; undefined when it cannot be expanded (running the stage will say why).
 */
export function neededStages(
  { stages }: Kubefile,
  target: Stage,
  imageOf: (from: FromInstruction) => string | undefined,
): Stage[] {
  const needed = new Set<number>();
  const need = (stage: Stage | undefined): void => {
    if (stage === undefined || needed.has(stage.from.index)) return;
    needed.add(stage.from.index);
    for (const index of usedBy(stage, stages, imageOf(stage.from))) need(stages[index]);
  };
  need(target);
  return stages.filter(({ from }) => needed.has(from.index));
}

/** The stages whose layers the image of a target has: itself, and what its FROM leads to. */
export function lineage(
  { stages }: Kubefile,
  target: Stage,
  imageOf: (from: FromInstruction) => string | undefined,
): Stage[] {
  const found: Stage[] = [];
  let stage: Stage | undefined = target;
  while (stage !== undefined) {
    found.push(stage);
    const base = baseOf(stage, stages, imageOf(stage.from));
    stage = base === undefined ? undefined : stages[base];
  }
  return found;
}

function baseOf({ from }: Stage, stages: readonly Stage[], image: string | undefined): number | undefined {
  return from.stage ?? (image === undefined ? undefined : findStage(stages, image, from.index));
}

function usedBy(stage: Stage, stages: readonly Stage[], image: string | undefined): number[] {
  const others = stage.instructions.flatMap((instruction) => {
    if (instruction.kind === 'COPY') return [instruction.from?.stage];
    if (instruction.kind === 'RUN')
      return instruction.mounts.map((mount) =>
        mount.type === 'bind' || mount.type === 'cache' ? mount.from?.stage : undefined,
      );
    return [];
  });
  return [baseOf(stage, stages, image), ...others].filter((index) => index !== undefined);
}
