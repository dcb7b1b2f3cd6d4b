import { expandWord } from '../../kubefile-parser/expand.js';
import type { Word } from '../../kubefile-parser/parts.js';
import type { BuildJob } from '../job.js';

/** The value of a word, with the variables that the instruction sees. */
export type ExpandWord = (word: Word) => string;

/** An {@link ExpandWord} over one snapshot of the environment; undefined variables are warned about, with their place. */
export function expander(
  { kubefile, reporter }: Pick<BuildJob, 'kubefile' | 'reporter'>,
  lookup: (name: string) => string | undefined,
): ExpandWord {
  const options = { escape: kubefile.directives.escape };
  return ({ raw, position }) => {
    const { value, undefinedNames } = expandWord(raw, lookup, options);
    for (const name of undefinedNames) {
      const isGlobal = kubefile.globalArgs.some(({ args }) => args.some((arg) => arg.name.raw === name));
      const why = isGlobal
        ? ` (an ARG before the first FROM counts in FROM only: write ARG ${name} in the stage too)`
        : '';
      reporter.warn(
        `${kubefile.file}:${position.line}:${position.column}: $${name} is not set; it becomes empty${why}`,
      );
    }
    return value;
  };
}
