import { SlipwayError } from '../../base/errors.js';
import type { Instruction } from '../../kubefile-parser/ast.js';
import type { ExpandWord } from '../expand.js';
import type { StageState } from '../stage.js';

/**
 * What LAUNCH, CMDS, APPCMDS, APPENV and KUBEVERSION change.
 * @returns undefined when the instruction is of another kind.
 */
export function launchChange(
  _state: StageState,
  instruction: Instruction,
  _expand: ExpandWord,
): Partial<StageState> | undefined {
  switch (instruction.kind) {
    case 'LAUNCH':
    case 'CMDS':
    case 'APPCMDS':
    case 'APPENV':
    case 'KUBEVERSION':
      throw new SlipwayError('E_UNSUPPORTED', `${instruction.kind} is not supported by this version`);
    default:
      return undefined;
  }
}
