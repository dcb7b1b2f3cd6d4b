import { SlipwayError } from '../base/errors.js';
import { excerptAt, locationOf } from '../kubefile-parser/caret.js';
import type { Position } from '../kubefile-parser/position.js';
import type { BuildJob } from './job.js';

/**
 * Puts the place in the Kubefile in front of an error that an instruction caused: `Kubefile:3:6: …`, the line, and a caret.
 * Errors that are no SlipwayError pass unchanged.
 */
export async function at<T>(
  { kubefile }: Pick<BuildJob, 'kubefile'>,
  position: Position,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code === 'E_INTERRUPTED') throw error;
    throw new SlipwayError(
      error.code,
      `${locationOf(kubefile.file, position)}: ${error.message}\n${excerptAt(kubefile, position)}`,
      {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        ...(error.details === undefined ? {} : { details: error.details }),
        cause: error,
      },
    );
  }
}
