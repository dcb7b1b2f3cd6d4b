import { SlipwayError } from '../../base/errors.js';
import { cleanPattern, compileIgnorePattern } from '../context/ignore-pattern.js';
import { ignoreMatcher } from '../context/ignore-rules.js';

/**
 * Compiles `--exclude`: patterns as in an ignore file, asked with the path below the destination. What is in an excluded directory is excluded
 * too; `!` takes something out again.
 * @returns undefined when there are none. @throws SlipwayError E_COPY for a malformed pattern.
 */
export function compileExcludes(patterns: readonly string[]): ((path: string) => boolean) | undefined {
  if (patterns.length === 0) return undefined;
  const rules = patterns.map((text) => {
    const exception = text.startsWith('!');
    const wanted = exception ? text.slice(1) : text;
    const pattern = wanted === '' ? undefined : compileIgnorePattern(cleanPattern(wanted));
    if (pattern === undefined)
      throw new SlipwayError('E_COPY', `--exclude=${text} is not a pattern`, {
        hint: 'a "[" needs its "]"; write "\\[" for the character itself',
      });
    return { exception, pattern };
  });
  return ignoreMatcher(rules).ignores;
}
