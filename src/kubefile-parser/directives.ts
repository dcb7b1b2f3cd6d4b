import { suggest } from '../base/suggest.js';
import type { Directives } from './ast.js';
import type { Findings } from './problem.js';
import { quote } from './visible.js';

/** `check` is Docker's: known, so that it does not end the directives, and not used. */
const NAMES = ['escape', 'dialect', 'syntax', 'check'] as const;
type DirectiveName = (typeof NAMES)[number];

/** A comment that could be a directive. */
interface FoundDirective {
  readonly name: DirectiveName;
  readonly value: string;
  /** Where the value stands in the line. */
  readonly offset: number;
}

/**
 * Reads the directives at the beginning of the file: `# name=value`, nothing before them, each once. The first line that is
 * none ends them. Gives also how many lines they take.
 */
export function readDirectives(
  lines: readonly string[],
  findings: Findings,
): { readonly directives: Directives; readonly count: number } {
  const values = new Map<DirectiveName, string>();
  let count = 0;
  for (; count < lines.length; count++) {
    const found = directiveIn(lines[count] ?? '');
    if (found === undefined) break;
    const at = { line: count + 1, column: found.offset + 1 };
    const wrong = values.has(found.name)
      ? { message: `the directive ${found.name} a second time`, hint: 'take one of the two away' }
      : wrongValue(found);
    if (wrong !== undefined) findings.problem(at, wrong.message, wrong.hint);
    else values.set(found.name, found.value);
  }
  const syntax = values.get('syntax');
  const directives: Directives = {
    escape: values.get('escape') === '`' ? '`' : '\\',
    dialect: values.get('dialect')?.toLowerCase() === 'docker' ? 'docker' : 'kubefile',
    ...(syntax !== undefined && { syntax }),
  };
  return { directives, count };
}

/** Warns about a comment further down that looks like a directive: it has no effect there. */
export function warnMisplaced(text: string, line: number, findings: Findings): void {
  const found = directiveIn(text);
  if (found === undefined || found.name === 'check') return;
  findings.warn(
    'misplaced-directive',
    { line, column: text.indexOf('#') + 1 },
    `this ${found.name} directive has no effect: something stands before it`,
    'directives come first in the file, before comments, blank lines and instructions',
  );
}

/** Takes a line apart by hand: a regular expression that trims both sides would go over long runs of blanks again and again. */
function directiveIn(line: string): FoundDirective | undefined {
  const comment = line.trimStart();
  const equals = comment.indexOf('=');
  if (!comment.startsWith('#') || equals < 0) return undefined;
  const name = comment.slice(1, equals).trim().toLowerCase();
  const value = comment.slice(equals + 1).trim();
  const known = NAMES.find((candidate) => candidate === name);
  if (known === undefined || value === '') return undefined;
  return { name: known, value, offset: line.indexOf(value, line.indexOf('=') + 1) };
}

function wrongValue({ name, value }: FoundDirective): { readonly message: string; readonly hint: string } | undefined {
  if (name === 'escape' && value !== '\\' && value !== '`')
    return { message: `${quote(value)} cannot be the escape character`, hint: 'write # escape=` or # escape=\\' };
  if (name === 'dialect' && !['kubefile', 'docker'].includes(value.toLowerCase())) {
    const near = suggest(value, ['kubefile', 'docker']);
    return {
      message: `unknown dialect ${quote(value)}`,
      hint: near === undefined ? 'there are kubefile and docker' : `did you mean ${near}?`,
    };
  }
  return undefined;
}
