import type { Position } from '../kubefile-parser/position.js';
import { RULES, type RuleId, SEVERITIES, type Severity } from './rules.js';

/** Something a rule has found. */
export interface Finding {
  readonly rule: RuleId;
  readonly severity: Severity;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  readonly message: string;
  /** What to write instead. */
  readonly help: string;
}

/** Where rules leave what they find. `severity` is given when it is not the rule's own. */
export type Report = (rule: RuleId, at: Position, message: string, help: string, severity?: Severity) => void;

/** A {@link Report} that puts findings about one file into a list. */
export function reportInto(findings: Finding[], file: string): Report {
  return (rule, { line, column }, message, help, severity = RULES[rule].severity) =>
    findings.push({ rule, severity, file, line, column, message, help });
}

/** In the order of the file; on one place, the gravest first. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) =>
      a.line - b.line ||
      a.column - b.column ||
      SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
      (a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : 0),
  );
}
