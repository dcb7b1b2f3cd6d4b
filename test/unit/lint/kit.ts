import { type LintRequest, lintKubefile } from '../../../src/build/lint/lint-kubefile.js';
import { parsePlatform } from '../../../src/image/platform.js';
import { sortFindings } from '../../../src/lint/finding.js';
import type { FileResult } from '../../../src/lint/report.js';

/** Lints a text as `slipway lint -` does, for linux/amd64. */
export function lint(text: string | Uint8Array, request: Partial<LintRequest> = {}): Promise<FileResult> {
  return lintKubefile({
    file: 'Kubefile',
    text,
    platform: parsePlatform('linux/amd64'),
    buildArgs: {},
    type: 'kube-installer',
    ...request,
  });
}

/** What is found, each as `line:column rule`; findings that only advise have `(info)` behind them. */
export async function findingsOf(text: string, request: Partial<LintRequest> = {}): Promise<string[]> {
  const { findings } = await lint(text, request);
  return sortFindings(findings).map(
    ({ line, column, rule, severity }) => `${line}:${column} ${rule}${severity === 'info' ? ' (info)' : ''}`,
  );
}
