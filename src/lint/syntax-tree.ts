import type { LenientResult } from '../kubefile-parser/parse.js';

/**
 * What `slipway lint --ast` prints for a file: the parsed instructions with their positions, as src/kubefile-parser/ast.ts describes them, and what
 * is wrong with it. Fields are added to it, never renamed; `schemaVersion` says otherwise.
 */
export function syntaxTree({ kubefile, problems, warnings }: LenientResult): unknown {
  const { file, directives, globalArgs, stages } = kubefile;
  return { schemaVersion: 1, file, directives, globalArgs, stages, problems, warnings };
}
