import type { LenientResult } from '../kubefile-parser/parse.js';
import type { Check, LintOptions } from './check.js';
import { checkApplications, checkHostPaths, checkIgnored } from './checks/cluster.js';
import { checkExecForm, checkRepeatedCommands, checkRun } from './checks/commands.js';
import {
  checkBuildArgs,
  checkLabels,
  checkLaunchVariables,
  checkPredefined,
  checkSecrets,
} from './checks/declarations.js';
import { checkAdd, checkBaseOrder, checkWorkdir } from './checks/layers.js';
import { checkImages, checkPlatforms, checkStages } from './checks/stages.js';
import { checkCase, checkKeyValues, checkMaintainer } from './checks/style.js';
import { checkUnusedArgs, checkVariables } from './checks/variables.js';
import { type Finding, reportInto } from './finding.js';
import { walkKubefile } from './walk.js';

const CHECKS: readonly Check[] = [
  checkVariables,
  checkUnusedArgs,
  checkBuildArgs,
  checkPredefined,
  checkLaunchVariables,
  checkSecrets,
  checkStages,
  checkImages,
  checkPlatforms,
  checkBaseOrder,
  checkAdd,
  checkWorkdir,
  checkRun,
  checkExecForm,
  checkLabels,
  checkRepeatedCommands,
  checkHostPaths,
  checkApplications,
  checkIgnored,
  checkMaintainer,
  checkKeyValues,
  checkCase,
];

/**
 * What the text of a Kubefile alone tells, the parser's mistakes and warnings included, in no order and before suppressions. No file is looked
 * at; broken files are linted as far as they can be read. Takes time by the length of the text. Throws nothing.
 */
export function lintText({ kubefile, problems, warnings }: LenientResult, options: LintOptions): Finding[] {
  const findings: Finding[] = [];
  const report = reportInto(findings, kubefile.file);
  for (const problem of problems) report('syntax', problem, problem.message, problem.hint);
  for (const warning of warnings) {
    // The docker dialect makes an ordinary image, where these have their meaning.
    if (warning.rule === 'ignored-instruction' && kubefile.directives.dialect === 'docker') continue;
    report(warning.rule, warning, warning.message, warning.hint);
  }
  walkKubefile(
    kubefile,
    options,
    CHECKS.map((check) => check({ kubefile, options, report })),
  );
  return findings;
}
