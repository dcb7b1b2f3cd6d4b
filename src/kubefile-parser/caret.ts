import type { Position } from './position.js';
import type { Problem } from './problem.js';
import { visible } from './visible.js';

/** A text and its name; a `Kubefile` is one. */
export interface SourceText {
  readonly file: string;
  readonly text: string;
}

const INDENT = '    ';
/** A longer line is cut, so that the caret stays in sight. */
const WIDTH = 120;

/** `Kubefile:3:6`. */
export function locationOf(file: string, { line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

/**
 * The place in the file and, on two more lines, the source line with a caret under the column:
 * ```
 * Kubefile:3:6
 *     COPY nofile .
 *          ^
 * ```
 * For errors that come up after parsing; every node of the syntax tree has a position to give.
 */
export function caret(source: SourceText, position: Position): string {
  return `${locationOf(source.file, position)}\n${excerptAt(source, position)}`;
}

/** The last two lines of {@link caret}. */
export function excerptAt({ text }: SourceText, { line, column }: Position): string {
  return excerpt(lineOf(text, line), column);
}

/** The source line and the caret line, both indented, without a line break at the end. */
function excerpt(line: string, column: number): string {
  let start = 0;
  let shown = line;
  if (line.length > WIDTH) {
    start = Math.max(0, Math.min(column - 1 - WIDTH / 2, line.length - WIDTH));
    shown = line.slice(start, start + WIDTH);
  }
  const head = start > 0 ? '…' : '';
  const tail = start + shown.length < line.length ? '…' : '';
  const before = head + shown.slice(0, column - 1 - start);
  return `${INDENT}${head}${visible(shown)}${tail}\n${INDENT}${blanksFor(before)}^`;
}

/** `Kubefile:3:1: message`, the source line, the caret line and the hint. */
export function describeProblem(lines: readonly string[], problem: Problem): string {
  const source = lines[problem.line - 1] ?? '';
  return `${locationOf(problem.file, problem)}: ${problem.message}\n${excerpt(source, problem.column)}\n${INDENT}${problem.hint}`;
}

function lineOf(text: string, line: number): string {
  let start = 0;
  for (let current = 1; current < line; current++) {
    const end = text.indexOf('\n', start);
    if (end < 0) return '';
    start = end + 1;
  }
  const end = text.indexOf('\n', start);
  return text.slice(start, end < 0 ? text.length : end);
}

/** Blanks as wide as `text` on a terminal: a tab stays a tab, East Asian characters are two columns, marks none. */
function blanksFor(text: string): string {
  let blanks = '';
  for (const character of text) {
    if (character === '\t') blanks += '\t';
    else if (/\p{Mark}/u.test(character)) continue;
    else blanks += isWide(character.codePointAt(0) ?? 0) ? '  ' : ' ';
  }
  return blanks;
}

/** The wide blocks of Unicode's EastAsianWidth.txt, coarsely. */
function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}
