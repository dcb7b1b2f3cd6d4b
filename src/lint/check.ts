import type { Kubefile } from '../kubefile-parser/ast.js';
import type { Report } from './finding.js';
import type { Visitor, WalkOptions } from './walk.js';

/** What rules may ask about the build that is to come. */
export interface LintOptions extends WalkOptions {
  /** The name or number of the stage that is built; default the last. */
  readonly target?: string | undefined;
}

/** What a check works with. */
export interface CheckContext {
  readonly kubefile: Kubefile;
  readonly options: LintOptions;
  readonly report: Report;
}

/** One or several rules that look at the same things. */
export type Check = (context: CheckContext) => Visitor;
