import { suggest } from '../../base/suggest.js';
import type { ArgInstruction, Instruction } from '../../kubefile-parser/ast.js';
import type { Word } from '../../kubefile-parser/parts.js';
import type { Position } from '../../kubefile-parser/position.js';
import type { Check, CheckContext } from '../check.js';
import type { Expanded } from '../variables.js';
import type { StageScope } from '../walk.js';
import { expandedHeredocs, wordsOf } from '../words.js';

/** For so many names it is looked for what was meant; who has more mistakes than that has another problem. */
const MOST_SUGGESTIONS = 200;

/** `undefined-variable` and `unset-variable`: in every word and heredoc that the build expands. */
export const checkVariables: Check = ({ report }) => {
  let suggestions = MOST_SUGGESTIONS;
  const inGlobals = ({ undeclared }: Expanded, { position }: Word): void => {
    for (const name of undeclared)
      report(
        'undefined-variable',
        position,
        `$${name} is not declared; it becomes empty`,
        `only ARGs before the first FROM and the variables of the platform are known here: write ARG ${name} before it`,
      );
  };
  return {
    globalArg({ args }, expand) {
      for (const { name, default: fallback } of args)
        for (const word of [name, fallback]) if (word !== undefined) inGlobals(expand(word), word);
    },
    from(from, _scope, expand) {
      for (const word of wordsOf(from)) {
        const expanded = expand(word);
        inGlobals(expanded, word);
        for (const name of expanded.unset) reportUnset(name, word.position, report);
      }
    },
    instruction(instruction, scope) {
      for (const word of wordsOf(instruction)) inStage(scope.expand(word), word.position, scope);
      for (const heredoc of expandedHeredocs(instruction))
        inStage(scope.expandHeredoc(heredoc), heredoc.position, scope);
    },
  };

  function inStage({ undeclared, unset }: Expanded, at: Position, scope: StageScope): void {
    for (const name of undeclared)
      reportUndeclared(name, suggestions-- > 0 ? suggest(name, scope.names()) : undefined, at, scope, report);
    for (const name of unset) reportUnset(name, at, report);
  }
};

function reportUndeclared(
  name: string,
  near: string | undefined,
  at: Position,
  scope: StageScope,
  report: CheckContext['report'],
): void {
  const message = `$${name} is not declared; it becomes empty`;
  const declare = `declare it before: ARG ${name}, or ENV ${name}=…`;
  if (scope.isGlobal(name))
    report(
      'undefined-variable',
      at,
      message,
      `an ARG before the first FROM counts in FROM only: declare it again in this stage, ARG ${name}`,
    );
  else if (near !== undefined) report('undefined-variable', at, message, `did you mean ${near}?`);
  else if (scope.selfContained) report('undefined-variable', at, message, declare);
  else
    report(
      'undefined-variable',
      at,
      `$${name} is not declared here; it becomes empty unless the base image sets it`,
      `${declare}; or give a default: \${${name}:-…}`,
      'info',
    );
}

function reportUnset(name: string, at: Position, report: CheckContext['report']): void {
  report(
    'unset-variable',
    at,
    `$${name} has no value unless the build is given one`,
    `give it a default, ARG ${name}=…, or build with --build-arg ${name}=…`,
  );
}

/** An ARG that nothing has used so far. */
interface Pending {
  readonly word: Word;
  readonly global: boolean;
  /** A RUN came after it that does not name it. */
  run: boolean;
}

/** `unused-arg`. What is used is known from names: in words that are expanded, and anywhere in the text that a RUN gives to its shell. */
export const checkUnusedArgs: Check = ({ kubefile, options, report }) => {
  const globals = new Map<string, Pending>();
  let pending = new Map<string, Pending>();
  const exempt = new Set([...Object.keys(options.predefined), ...(options.declarable ?? [])]);
  const declare = (map: Map<string, Pending>, { args }: ArgInstruction, global: boolean): void => {
    for (const { name, default: fallback } of args) {
      if (fallback !== undefined) for (const used of referencedIn(fallback.raw)) map.delete(used);
      if (/^\w+$/.test(name.raw) && !exempt.has(name.raw)) map.set(name.raw, { word: name, global, run: false });
    }
  };
  const tell = (map: ReadonlyMap<string, Pending>): void => {
    for (const [name, { word, run, global }] of map)
      if (run)
        report(
          'unused-arg',
          word.position,
          `nothing in this stage names ${name}, unless a command of a RUN reads it from its environment`,
          `take the ARG away, or write ENV ${name}=$${name} to show that it is wanted`,
          'info',
        );
      else
        report(
          'unused-arg',
          word.position,
          `nothing uses the ARG ${name}`,
          global
            ? `take it away; a stage sees it only when it declares it again: ARG ${name}`
            : 'take it away; an ARG is seen only by what follows it in its stage',
        );
  };
  return {
    globalArg: (instruction) => declare(globals, instruction, true),
    from(from) {
      pending = new Map();
      for (const { raw } of wordsOf(from)) for (const name of referencedIn(raw)) globals.delete(name);
    },
    instruction(instruction) {
      if (instruction.kind === 'ARG') {
        for (const { name } of instruction.args) globals.delete(name.raw);
        declare(pending, instruction, false);
        return;
      }
      if (pending.size === 0) return;
      for (const name of namesIn(instruction)) pending.delete(name);
      if (instruction.kind === 'RUN') for (const arg of pending.values()) arg.run = true;
    },
    endOfStage({ index }) {
      tell(pending);
      pending = new Map();
      if (index === kubefile.stages.length - 1) tell(globals);
    },
  };
};

function* namesIn(instruction: Instruction): Generator<string> {
  for (const { raw } of wordsOf(instruction)) yield* referencedIn(raw);
  for (const { content } of expandedHeredocs(instruction)) yield* referencedIn(content);
  if (instruction.kind !== 'RUN') return;
  const texts = [instruction.source, ...instruction.heredocs.map(({ content }) => content)];
  for (const text of texts) for (const [name] of text.matchAll(/[A-Za-z_]\w*/g)) yield name;
}

/** The names behind a `$` in a text; quoting is not looked at: a name too many is better than a false alarm. */
function* referencedIn(raw: string): Generator<string> {
  if (!raw.includes('$')) return;
  for (const [, name = ''] of raw.matchAll(/\$\{?([A-Za-z_]\w*)/g)) yield name;
}
