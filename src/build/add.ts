import { SlipwayError } from '../base/errors.js';
import type { AddInstruction } from '../kubefile-parser/ast.js';
import type { ExpandWord } from './expand.js';
import type { BuildJob } from './job.js';
import type { Outcome } from './outcome.js';
import type { StageState } from './stage.js';

/** ADD. */
export async function runAdd(
  _job: BuildJob,
  _state: StageState,
  instruction: AddInstruction,
  _expand: ExpandWord,
  _step: string,
): Promise<Outcome> {
  throw new SlipwayError('E_UNSUPPORTED', `${instruction.source}: ADD is not supported by this version`);
}
