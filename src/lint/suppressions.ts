import { suggest } from '../base/suggest.js';
import type { Kubefile } from '../kubefile-parser/ast.js';
import type { Position, Span } from '../kubefile-parser/position.js';
import { type Finding, reportInto } from './finding.js';
import { isRule, RULES, type RuleId } from './rules.js';

/** `# slipway lint ignore=RULE,RULE` above an instruction, or `ignore-file=` for all of the file. */
const COMMENT = /^\s*#\s*slipway\s+lint\s+(ignore(?:-file)?)\s*=\s*(\S*)/;
const LOOKS_LIKE_ONE = /^\s*#\s*slipway\s+lint\b/i;

interface Suppression {
  readonly rule: RuleId;
  readonly at: Position;
  /** The lines it is about; absent for all of the file. */
  readonly lines?: { readonly first: number; readonly last: number };
  used: boolean;
}

/** What is left of the findings, and how many were taken away. Mistakes in suppressions are findings themselves. */
export interface Suppressed {
  readonly findings: readonly Finding[];
  readonly suppressed: number;
}

/**
 * Takes away what comments of the file say is meant as it is. What makes the file unreadable cannot be suppressed.
 * @param complete all rules have been run: only then it is told that a suppression suppresses nothing.
 */
export function applySuppressions(
  kubefile: Kubefile,
  findings: readonly Finding[],
  { complete }: { readonly complete: boolean },
): Suppressed {
  const own: Finding[] = [];
  const suppressions = readSuppressions(kubefile, own);
  if (suppressions.length === 0) return { findings: [...findings, ...own], suppressed: 0 };
  const byRule = new Map<RuleId, Suppression[]>();
  for (const suppression of suppressions)
    byRule.set(suppression.rule, [...(byRule.get(suppression.rule) ?? []), suppression]);
  const kept = findings.filter(({ rule, line, file }) => {
    if (file !== kubefile.file) return true;
    const match = byRule
      .get(rule)
      ?.find(({ lines }) => lines === undefined || (line >= lines.first && line <= lines.last));
    if (match !== undefined) match.used = true;
    return match === undefined;
  });
  const report = reportInto(own, kubefile.file);
  if (complete)
    for (const { used, rule, at } of suppressions)
      if (!used) report('unused-suppression', at, `there is no ${rule} here to suppress`, 'take it away');
  return { findings: [...kept, ...own], suppressed: findings.length - kept.length };
}

function readSuppressions(kubefile: Kubefile, findings: Finding[]): Suppression[] {
  if (!kubefile.text.includes('slipway')) return [];
  const report = reportInto(findings, kubefile.file);
  const found: Suppression[] = [];
  const spans = instructionSpans(kubefile);
  let next = 0;
  for (const [index, text] of kubefile.text.split('\n').entries()) {
    const line = index + 1;
    if (!LOOKS_LIKE_ONE.test(text)) continue;
    while (next < spans.length && (spans[next]?.endLine ?? 0) < line) next++;
    const span = spans[next];
    // Inside an instruction with heredocs it may be a line of somebody's script.
    if (span !== undefined && span.line <= line && span.heredocs) continue;
    const at = { line, column: text.indexOf('#') + 1 };
    const [, verb, names = ''] = COMMENT.exec(text) ?? [];
    if (verb === undefined || names === '') {
      report('unknown-rule', at, 'this suppression cannot be read', 'write # slipway lint ignore=RULE,RULE');
      continue;
    }
    for (const rule of names.split(',')) {
      if (!isRule(rule) || rule === 'syntax') {
        const near = suggest(rule, Object.keys(RULES));
        const hint = near === undefined ? '"slipway lint --rules" lists them' : `did you mean ${near}?`;
        if (rule === 'syntax') report('unknown-rule', at, 'syntax cannot be suppressed', 'mend the file');
        else report('unknown-rule', at, `there is no rule ${JSON.stringify(rule)}`, hint);
      } else if (verb === 'ignore-file') found.push({ rule, at, used: false });
      else
        found.push({
          rule,
          at,
          lines: { first: Math.min(line, span?.line ?? line), last: span?.endLine ?? line },
          used: false,
        });
    }
  }
  return found;
}

interface InstructionSpan extends Span {
  readonly heredocs: boolean;
}

/** The lines of every instruction, in the order of the file. */
function instructionSpans({ globalArgs, stages }: Kubefile): InstructionSpan[] {
  return [
    ...globalArgs.map(({ position }) => ({ ...position, heredocs: false })),
    ...stages.flatMap(({ from, instructions }) => [
      { ...from.position, heredocs: false },
      ...instructions.map((instruction) => ({
        ...instruction.position,
        heredocs: 'heredocs' in instruction && instruction.heredocs.length > 0,
      })),
    ]),
  ];
}
