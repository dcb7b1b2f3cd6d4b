import * as z from 'zod';
import { type Finding, sortFindings } from './finding.js';
import { RULES, type RuleId, SEVERITIES } from './rules.js';

const count = z.int().nonnegative();

const findingSchema = z.object({
  rule: z.enum(Object.keys(RULES) as [RuleId, ...RuleId[]]).describe('The stable name of the rule.'),
  severity: z.enum(SEVERITIES),
  file: z.string().describe('The file, as it was given.'),
  line: z.int().positive().describe('From 1.'),
  column: z.int().positive().describe('From 1, in UTF-16 units.'),
  message: z.string().describe('What is there, in one line.'),
  help: z.string().describe('What to write instead.'),
});

/** What `slipway lint --format json` prints. docs/lint.schema.json is made from this. */
export const lintReportSchema = z
  .object({
    schemaVersion: z.literal(1),
    files: z.array(z.string()).describe('The Kubefiles that were looked at, in the order they were given.'),
    summary: z.object({
      errors: count,
      warnings: count,
      infos: count,
      suppressed: count.describe('Findings that comments in the files take away.'),
    }),
    findings: z.array(findingSchema).describe('File by file, in the order of the text.'),
  })
  .meta({ title: 'slipway lint --format json' });
export type LintReport = z.infer<typeof lintReportSchema>;

/** What one file gave. */
export interface FileResult {
  readonly file: string;
  readonly findings: readonly Finding[];
  readonly suppressed: number;
}

/** Puts the results of several files together. */
export function lintReport(results: readonly FileResult[]): LintReport {
  const findings = results.flatMap((result) => sortFindings(result.findings));
  const of = (severity: Finding['severity']): number =>
    findings.reduce((sum, finding) => (finding.severity === severity ? sum + 1 : sum), 0);
  return {
    schemaVersion: 1,
    files: results.map(({ file }) => file),
    summary: {
      errors: of('error'),
      warnings: of('warning'),
      infos: of('info'),
      suppressed: results.reduce((sum, { suppressed }) => sum + suppressed, 0),
    },
    findings,
  };
}

/** The JSON Schema of {@link lintReportSchema}, as docs/lint.schema.json has it. */
export function lintReportJsonSchema(): unknown {
  return z.toJSONSchema(lintReportSchema);
}
