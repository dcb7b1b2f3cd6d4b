import type { Platform } from '../image/platform.js';
import type { Instruction } from '../kubefile-parser/ast.js';
import type { StageState } from './stages/stage.js';

/** A build that finds out what would be in the image: it plans layers, and packs, runs and downloads nothing. */
export interface DryRun {
  /** Takes the place of an instruction; `execute` does what it says, as far as that is planning. */
  instruction(
    instruction: Instruction,
    state: StageState,
    execute: (instruction: Instruction) => Promise<StageState>,
  ): Promise<StageState>;
  /** A base image. */
  image(name: string, platform: Platform): Promise<StageState>;
}
