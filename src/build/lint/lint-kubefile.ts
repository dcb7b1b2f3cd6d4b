import { isSlipwayError, messageOf } from '../../base/errors.js';
import type { ClusterImageType } from '../../image/cluster-image.js';
import type { Platform } from '../../image/platform.js';
import type { Kubefile } from '../../kubefile-parser/ast.js';
import { parseKubefileLenient } from '../../kubefile-parser/parse.js';
import type { LintOptions } from '../../lint/check.js';
import { type Finding, reportInto } from '../../lint/finding.js';
import { lintText } from '../../lint/lint.js';
import type { FileResult } from '../../lint/report.js';
import type { RuleId } from '../../lint/rules.js';
import { applySuppressions } from '../../lint/suppressions.js';
import { walkKubefile } from '../../lint/walk.js';
import { BuildContext } from '../context/context.js';
import { targetStage } from '../stages/target-stage.js';
import { PROXY_VARIABLES, platformVariables } from '../variables/variables.js';
import { contextVisitor } from './context-visitor.js';

export interface LintRequest {
  /** The name findings show. */
  readonly file: string;
  readonly text: string | Uint8Array;
  /** The build context; without it nothing but the text is looked at. */
  readonly context?: string | undefined;
  readonly platform: Platform;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string | undefined;
  readonly type: ClusterImageType;
}

/**
 * Runs all rules over a Kubefile, broken or not, and over what it takes from its context. Nothing is built and no content of the context is read but
 * its Metadata.
 * @throws SlipwayError E_USAGE when the target is no stage, E_NOT_FOUND when the context is no directory.
 */
export async function lintKubefile(request: LintRequest): Promise<FileResult> {
  const { file, target } = request;
  const parsed = parseKubefileLenient(request.text, file);
  const { kubefile } = parsed;
  if (target !== undefined) targetStage(kubefile, target);
  const options = lintOptions(request);
  const findings = lintText(parsed, options);
  if (request.context !== undefined) await lintContext(kubefile, request.context, request, options, findings);
  return { file, ...applySuppressions(kubefile, findings, { complete: request.context !== undefined }) };
}

async function lintContext(
  kubefile: Kubefile,
  dir: string,
  { platform, type, file, target }: LintRequest,
  options: LintOptions,
  findings: Finding[],
): Promise<void> {
  const report = reportInto(findings, file);
  let context: BuildContext;
  try {
    context = await BuildContext.open(dir, file, kubefile.directives.dialect);
  } catch (error) {
    if (isSlipwayError(error, 'E_NOT_FOUND')) throw error;
    const hint = isSlipwayError(error) ? error.hint : undefined;
    report('copy-impossible', { line: 1, column: 1 }, messageOf(error), hint ?? 'mend it: the build reads it first');
    return;
  }
  const built = kubefile.stages.length === 0 ? -1 : targetStage(kubefile, target).from.index;
  walkKubefile(kubefile, options, [contextVisitor({ kubefile, context, platform, type, built, report })]);
}

/** What `build` says itself, at the place where it finds out: with the variables of the base image, with the file that is missing. */
const SAID_BY_BUILD: readonly RuleId[] = ['undefined-variable', 'unknown-build-arg', 'copy-matches-nothing'];

/** The warnings that `build` prints before it begins. Only the text is looked at: the files are walked by the build itself. */
export function buildWarnings(
  kubefile: Kubefile,
  request: Pick<LintRequest, 'platform' | 'buildArgs' | 'target'>,
): readonly Finding[] {
  const findings = lintText({ kubefile, problems: [], warnings: kubefile.warnings }, lintOptions(request)).filter(
    ({ rule, severity }) => severity === 'warning' && !SAID_BY_BUILD.includes(rule),
  );
  return applySuppressions(kubefile, findings, { complete: false }).findings;
}

function lintOptions({
  platform,
  buildArgs,
  target,
}: Pick<LintRequest, 'platform' | 'buildArgs' | 'target'>): LintOptions {
  return { buildArgs, target, predefined: platformVariables(platform), declarable: PROXY_VARIABLES };
}
