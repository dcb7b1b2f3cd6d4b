import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { expandHeredoc } from '../../kubefile-parser/expand.js';
import type { Heredoc } from '../../kubefile-parser/parts.js';
import type { BuildJob } from '../job.js';
import type { StageState } from '../stages/stage.js';
import { lookupIn } from '../variables/variables.js';
import type { NamedSource } from './pick.js';
import { singleSource } from './single-source.js';

/**
 * A heredoc of COPY or ADD as a source: a file called like its marker, with mode 0644. Variables in it are replaced unless the marker is
 * quoted; undefined ones are warned about.
 * @throws SlipwayError E_COPY when the marker is no file name, E_KUBEFILE_SYNTAX when an expansion fails.
 */
export function heredocSource({ kubefile, reporter }: BuildJob, state: StageState, heredoc: Heredoc): NamedSource {
  const { name, position } = heredoc;
  if (name.includes('/') || name === '.' || name === '..') {
    throw new SlipwayError('E_COPY', `the heredoc <<${name} would be a file of that name, which is no file name`, {
      hint: 'choose another word, and name the file in the destination',
    });
  }
  let content = heredoc.content;
  if (heredoc.expand) {
    const { value, undefinedNames } = expanded(heredoc, lookupIn(state));
    content = value;
    for (const missing of undefinedNames)
      reporter.warn(
        `${kubefile.file}:${position.line}:${position.column}: $${missing} in <<${name} is not set; it becomes empty`,
      );
  }
  const bytes = Buffer.from(content, 'utf8');
  const tree = singleSource(`the heredoc <<${name}`, {
    path: name,
    mode: 0o644,
    size: bytes.length,
    content: { in: 'memory', bytes },
  });
  return { tree, name, literal: true };
}

function expanded({ content, name }: Heredoc, lookup: (name: string) => string | undefined) {
  try {
    return expandHeredoc(content, lookup);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    throw new SlipwayError(error.code, `<<${name}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
