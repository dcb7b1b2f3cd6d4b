import type { Position } from './position.js';

/** One mistake in a Kubefile. */
export interface Problem extends Position {
  readonly file: string;
  readonly message: string;
  /** What to write instead. */
  readonly hint: string;
}

/** Something that is understood, and probably not what was meant. */
export interface Warning extends Problem {
  /** Stable name, for linters. */
  readonly rule: WarningRule;
}

export type WarningRule =
  | 'misplaced-directive'
  | 'empty-continuation'
  | 'unfinished-continuation'
  | 'invalid-json'
  | 'inline-comment'
  | 'comma-separated-arg'
  | 'comma-separated-cmd'
  | 'cmd-and-cmds'
  | 'stage-shadows-image'
  | 'ignored-instruction';

/** Where everybody who reads a part of the file leaves what is wrong with it. */
export interface Findings {
  readonly problems: Problem[];
  readonly warnings: Warning[];
  problem(at: Position, message: string, hint: string): void;
  warn(rule: WarningRule, at: Position, message: string, hint: string): void;
}

export function newFindings(file: string): Findings {
  const problems: Problem[] = [];
  const warnings: Warning[] = [];
  return {
    problems,
    warnings,
    problem: ({ line, column }, message, hint) => problems.push({ file, line, column, message, hint }),
    warn: (rule, { line, column }, message, hint) => warnings.push({ rule, file, line, column, message, hint }),
  };
}

/** In the order of the file. */
export function byPosition(a: Position, b: Position): number {
  return a.line - b.line || a.column - b.column;
}
