import { SlipwayError } from '../../base/errors.js';
import type { AppInstruction } from '../../kubefile-parser/ast.js';
import type { ExpandWord } from '../expand.js';
import type { BuildJob } from '../job.js';
import type { Outcome } from '../outcome.js';
import type { StageState } from '../stage.js';

/** APP, CNI and CSI. */
export async function runApplication(
  _job: BuildJob,
  _state: StageState,
  instruction: AppInstruction,
  _expand: ExpandWord,
  _step: string,
): Promise<Outcome> {
  throw new SlipwayError('E_UNSUPPORTED', `${instruction.kind} is not supported by this version`);
}
