import { SlipwayError } from '../base/errors.js';
import type { ArgInstruction, FromInstruction, Instruction, Kubefile, Stage } from './ast.js';
import { describeProblem } from './caret.js';
import { decode } from './decode.js';
import { parseFromInstruction } from './instructions/from.js';
import { node } from './instructions/node.js';
import { INSTRUCTION_PARSERS } from './instructions/table.js';
import { isClusterOnly, isKeyword, nearestKeyword } from './keywords.js';
import { lex, type Statement } from './lexer.js';
import { byPosition, type Findings, newFindings, type Problem, type Warning } from './problem.js';
import { resolveStages } from './stages.js';
import { StatementReader } from './statement-reader.js';
import { quote } from './visible.js';

/** More than this many mistakes are only counted in the message; `details.problems` has them all. */
const MOST_SHOWN = 100;

export interface LenientResult {
  /** What could be read. A FROM that could not stands there with an empty image. */
  readonly kubefile: Kubefile;
  readonly problems: readonly Problem[];
  readonly warnings: readonly Warning[];
}

/**
 * Reads a Kubefile. `file` is the name that errors show. Warnings are on the result.
 * @throws SlipwayError E_KUBEFILE_SYNTAX. Its message lists every mistake as `file:line:column: message`, the source line, a
 * caret and what to write instead; `details.problems` has the same as data.
 */
export function parseKubefile(text: string | Uint8Array, file: string): Kubefile {
  const { kubefile, problems } = parseKubefileLenient(text, file);
  if (problems.length === 0) return kubefile;
  const lines = kubefile.text.split('\n');
  const shown = problems.slice(0, MOST_SHOWN).map((problem) => describeProblem(lines, problem));
  if (problems.length > MOST_SHOWN) shown.push(`… and ${problems.length - MOST_SHOWN} more mistakes`);
  throw new SlipwayError('E_KUBEFILE_SYNTAX', shown.join('\n'), {
    hint: 'nothing was built',
    details: { problems },
  });
}

/** As {@link parseKubefile}, for a linter: gives what could be read together with what is wrong, in the order of the file. */
export function parseKubefileLenient(text: string | Uint8Array, file: string): LenientResult {
  const findings = newFindings(file);
  const source = decode(text, findings);
  const { directives, statements } = lex(source, findings);
  const parts = parseStatements(statements, directives, findings);
  const stages = resolveStages(parts.stages, directives, findings);
  if (stages.length === 0 && findings.problems.length === 0)
    findings.problem(
      { line: 1, column: 1 },
      statements.length === 0 ? 'the file has no instructions' : 'there is no FROM',
      'a Kubefile begins with FROM IMAGE or FROM scratch',
    );
  const problems = findings.problems.sort(byPosition);
  const warnings = findings.warnings.sort(byPosition);
  const kubefile: Kubefile = { file, text: source.text, directives, globalArgs: parts.globalArgs, stages, warnings };
  return { kubefile, problems, warnings };
}

interface Parts {
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
}

function parseStatements(statements: readonly Statement[], options: Kubefile['directives'], findings: Findings): Parts {
  const globalArgs: ArgInstruction[] = [];
  const stages: { readonly from: FromInstruction; readonly instructions: Instruction[] }[] = [];
  let early = false;
  for (const statement of statements) {
    const reader = new StatementReader(statement, options, findings);
    const { keyword } = reader;
    if (isFrom(keyword)) {
      const from = statement.broken ? undefined : parseFrom(reader, stages.length);
      stages.push({ from: from ?? unreadableFrom(reader, stages.length), instructions: [] });
      continue;
    }
    const stage = stages.at(-1);
    const instruction = statement.broken ? undefined : parseInstruction(reader);
    if (stage !== undefined) {
      if (instruction !== undefined) stage.instructions.push(instruction);
    } else if (instruction?.kind === 'ARG') globalArgs.push(instruction);
    else if (instruction !== undefined && !early) {
      early = true;
      findings.problem(
        statement.span,
        `${keyword} before the first FROM`,
        'begin with FROM IMAGE or FROM scratch; only ARG may stand before it',
      );
    }
  }
  return { globalArgs, stages };
}

/** A misspelt FROM begins a stage as well; otherwise the instructions behind it would seem to stand before the first stage. */
function isFrom(keyword: string): boolean {
  return keyword === 'FROM' || (!isKeyword(keyword) && nearestKeyword(keyword) === 'FROM');
}

function parseFrom(reader: StatementReader, index: number): FromInstruction | undefined {
  return reader.keyword === 'FROM' ? parseFromInstruction(reader, index) : reportUnknown(reader);
}

function parseInstruction(reader: StatementReader): Instruction | undefined {
  const { keyword } = reader;
  if (!isKeyword(keyword) || keyword === 'FROM') return reportUnknown(reader);
  if (reader.dialect === 'docker' && isClusterOnly(keyword))
    return reader.problem(
      reader.statement.start,
      `Docker has no instruction ${keyword}`,
      'take it away; or, if this is a Kubefile, the line "# dialect=docker"',
    );
  return INSTRUCTION_PARSERS[keyword](reader);
}

function reportUnknown(reader: StatementReader): undefined {
  const { keyword, statement } = reader;
  const blank = /[\u0085\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/.exec(keyword)?.[0];
  const near = nearestKeyword(keyword);
  return reader.problem(
    statement.start,
    `unknown instruction ${quote(statement.keyword)}`,
    blank !== undefined
      ? `there is a special blank in it (U+${blank.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}); type an ordinary one`
      : near === undefined
        ? 'a line begins with an instruction such as FROM, COPY or RUN; a line that goes on ends with the escape character'
        : `did you mean ${near}?`,
  );
}

function unreadableFrom(reader: StatementReader, index: number): FromInstruction {
  const { statement } = reader;
  const { raw, position } = reader.place(statement.start, statement.start);
  return { ...node('FROM', reader), index, image: { raw, position } };
}
