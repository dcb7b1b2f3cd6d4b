import { SlipwayError } from '../../base/errors.js';
import type { FromInstruction, Stage } from '../../kubefile-parser/ast.js';
import { runInstruction } from '../instructions.js';
import type { BuildJob } from '../job.js';
import { expander } from '../variables/expand.js';
import { declareGlobalArgs, globalLookup, quietValue } from '../variables/global-args.js';
import { stageVariables } from '../variables/variables.js';
import { imageStage, runFrom } from './from.js';
import type { StageState } from './stage.js';
import { lineage, neededStages, runStages, stageSource } from './stage-graph.js';

/** The stages of one platform, built. */
export interface BuiltStages {
  readonly job: BuildJob;
  /** The target. */
  readonly state: StageState;
  /** Those that were run, in the order of the file. */
  readonly needed: readonly Stage[];
}

/** Builds what a target needs, and nothing else; stages that do not need each other at the same time. */
export async function buildStages(given: Omit<BuildJob, 'stages'>, target: Stage): Promise<BuiltStages> {
  const stop = new AbortController();
  const globalArgs = declareGlobalArgs(given);
  const lookup = globalLookup(given, globalArgs);
  const { predefined, declarable } = stageVariables(given.platform, given.kubefile.directives.dialect);
  const imageOf = ({ image }: FromInstruction): string | undefined => quietValue(given, image, lookup);
  const needed = neededStages(given.kubefile, target, imageOf);
  const inImage = new Set(lineage(given.kubefile, target, imageOf));
  const signal = AbortSignal.any([given.signal, stop.signal]);
  const job: BuildJob = {
    ...given,
    signal,
    stages: stageSource(given.kubefile, {
      platform: given.platform,
      image: (name, platform) => given.dryRun?.image(name, platform) ?? imageStage(given, name, platform),
      run: async (stage) => {
        const { from, instructions } = stage;
        const stageJob = inImage.has(stage) ? job : { ...job, onLayer: undefined };
        job.reporter.info(from.source);
        let state: StageState = {
          ...(await runFrom(job, from, expander(job, lookup))),
          predefined,
          ownCmd: false,
          globalArgs: { ...declarable, ...globalArgs },
        };
        for (const [index, instruction] of instructions.entries())
          state = await runInstruction(stageJob, state, instruction, stepName(stage, index, needed.length > 1));
        return state;
      },
    }),
  };
  const state = await runStages(
    job.stages,
    needed.map(({ from }) => from.index),
    (reason) => stop.abort(reason),
  );
  if (state === undefined) throw new SlipwayError('E_INTERNAL', 'a Kubefile without stages was accepted');
  return { job, state, needed };
}

/** `[2/7]`; `[builder 2/7]` when several stages are built. */
function stepName({ from, instructions }: Stage, index: number, several: boolean): string {
  const place = `${index + 1}/${instructions.length}`;
  return several ? `[${from.name ?? `stage-${from.index}`} ${place}]` : `[${place}]`;
}
