import { isSlipwayError, SlipwayError } from '../base/errors.js';
import type { Kubefile } from './ast.js';
import { excerptAt, locationOf } from './caret.js';
import { type Environment, type Expansion, expandHeredoc, expandWord } from './expand.js';
import type { Heredoc, Word } from './parts.js';
import type { Position } from './position.js';

/**
 * Expands a word of a Kubefile.
 * @throws SlipwayError E_KUBEFILE_SYNTAX as `expandWord`, with the place of the word in the file and the source line.
 */
export function expandWordAt(kubefile: Kubefile, word: Word, env: Environment): Expansion {
  return located(kubefile, word.position, () => expandWord(word.raw, env, kubefile.directives));
}

/** Expands the content of a heredoc of COPY or ADD; as it is when its marker is quoted. @throws as {@link expandWordAt}. */
export function expandHeredocAt(kubefile: Kubefile, heredoc: Heredoc, env: Environment): Expansion {
  if (!heredoc.expand) return { value: heredoc.content, undefinedNames: [] };
  return located(kubefile, heredoc.position, () => expandHeredoc(heredoc.content, env));
}

function located<T>(kubefile: Kubefile, position: Position, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    const { line, column } = position;
    const message = `${locationOf(kubefile.file, position)}: ${error.message}\n${excerptAt(kubefile, position)}`;
    throw new SlipwayError(error.code, message, {
      ...(error.hint !== undefined && { hint: error.hint }),
      details: { ...error.details, file: kubefile.file, line, column },
    });
  }
}
