import { SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import type { Instruction } from '../kubefile-parser/ast.js';
import { runAdd } from './add/add.js';
import { runApplication } from './apps/application.js';
import { launchChange } from './apps/launch.js';
import { collectContainerImages } from './collect/base.js';
import { configChange } from './config/config-instructions.js';
import { runWorkdir } from './config/workdir.js';
import { runCopy } from './copy/copy.js';
import type { BuildJob } from './job.js';
import { configDone, type Outcome } from './outcome.js';
import { at } from './place.js';
import { runRun } from './run/run.js';
import type { StageState } from './stages/stage.js';
import { type ExpandWord, expander } from './variables/expand.js';
import { lookupIn } from './variables/variables.js';

/**
 * Executes one instruction of a stage.
 * @param step `[2/7]`, for what is printed. @returns the stage after it.
 */
export async function runInstruction(
  job: BuildJob,
  state: StageState,
  instruction: Instruction,
  step: string,
): Promise<StageState> {
  job.signal.throwIfAborted();
  const started = Date.now();
  job.reporter.info(`${step} ${instruction.source}`);
  const expand = expander(job, lookupIn(state));
  if (job.dryRun !== undefined)
    return job.dryRun.instruction(
      instruction,
      state,
      async (given) => (await execute(job, state, given, expand, step)).state,
    );
  const outcome = await execute(job, state, instruction, expand, step);
  if (outcome.cached) job.reporter.info(`${step} cached`);
  else job.reporter.debug(`${step} ${formatDuration(Date.now() - started)}`);
  return outcome.state;
}

async function execute(
  job: BuildJob,
  state: StageState,
  instruction: Instruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  switch (instruction.kind) {
    case 'COPY':
      return runCopy(job, state, instruction, expand, step);
    case 'ADD':
      return runAdd(job, state, instruction, expand, step);
    case 'RUN':
      return runRun(job, state, instruction, step);
    case 'WORKDIR':
      return runWorkdir(job, state, instruction, expand, step);
    case 'APP':
    case 'CNI':
    case 'CSI':
      return runApplication(job, state, instruction, expand, step);
    case 'BASE':
      return at(job, instruction.position, () =>
        collectContainerImages(job, state, { source: instruction.source, dir: expand(instruction.dir) }),
      );
    default: {
      const change = await at(
        job,
        instruction.position,
        async () => launchChange(state, instruction, expand) ?? configChange(job, state, instruction, expand),
      );
      if (change === undefined)
        throw new SlipwayError('E_INTERNAL', `${instruction.kind} was accepted and is not executed`);
      return configDone(state, instruction, change);
    }
  }
}
