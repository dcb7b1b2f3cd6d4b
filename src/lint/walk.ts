import type { ArgInstruction, FromInstruction, Instruction, Kubefile, Stage } from '../kubefile-parser/ast.js';
import type { Heredoc, Word } from '../kubefile-parser/parts.js';
import { Environment, type Expanded, Expander, type Known, known, UNKNOWN, UNSET } from './variables.js';

/** What a linter is told about the build that is to come. */
export interface WalkOptions {
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Variables that are always there (`ARCH`, `TARGETOS` …), for the platform the build is for. */
  readonly predefined: Readonly<Record<string, string>>;
  /** Names that an ARG may declare and that have values elsewhere: the proxy variables. */
  readonly declarable?: readonly string[];
}

/** What a stage begins with. */
export type StageBase =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  /** `name` is absent when it depends on something that is not known. */
  | { readonly kind: 'image'; readonly name?: string };

/** One stage while its instructions are gone through. */
export interface StageScope {
  readonly stage: Stage;
  readonly index: number;
  readonly base: StageBase;
  /** True when nothing of the stage comes from an image: its variables and files are all in the Kubefile and the context. */
  readonly selfContained: boolean;
  /** The value of a word for the instruction that is being visited. */
  expand(word: Word): Expanded;
  expandHeredoc(heredoc: Heredoc): Expanded;
  /** What a name stands for here; undefined when nothing declares it. */
  find(name: string): Known | undefined;
  /** How the name is declared here: ENV wins over ARG. */
  declaredBy(name: string): 'env' | 'arg' | 'predefined' | undefined;
  /** True when an ARG before the first FROM declares it. */
  isGlobal(name: string): boolean;
  /** Names that can be used here, at most some hundreds; for suggestions. */
  names(): Iterable<string>;
}

/** Looks at the parts of a Kubefile in their order; every method may be left away. */
export interface Visitor {
  globalArg?(instruction: ArgInstruction, expand: (word: Word) => Expanded): void;
  from?(from: FromInstruction, scope: StageScope, expand: (word: Word) => Expanded): void;
  /** Before the instruction takes effect on the scope. */
  instruction?(instruction: Instruction, scope: StageScope): void;
  endOfStage?(scope: StageScope): void;
}

/** So many names are looked through for the one that was meant. */
const MOST_NAMES = 500;

function* first(count: number, ...lists: readonly Iterable<string>[]): Generator<string> {
  let left = count;
  for (const list of lists)
    for (const name of list) {
      if (left-- <= 0) return;
      yield name;
    }
}

/** A stage that has been gone through. */
interface Finished {
  readonly env: Environment;
  readonly selfContained: boolean;
}

/**
 * Goes through a Kubefile once, keeping account of what every variable is worth at each place. All visitors see the same. Nothing is
 * thrown, whatever the file says.
 */
export function walkKubefile(kubefile: Kubefile, options: WalkOptions, visitors: readonly Visitor[]): void {
  const expander = new Expander(kubefile.directives.escape);
  const globals = new Map<string, Known>();
  const predefined = new Map(Object.entries(options.predefined).map(([name, value]) => [name, known(value)]));
  // With Docker's rules a stage sees them when it declares them, as it does with global ARGs.
  const docker = kubefile.directives.dialect === 'docker';
  const inStages: ReadonlyMap<string, Known> = docker ? new Map() : predefined;
  const buildArgs = new Map(Object.entries(options.buildArgs ?? {}));
  const findGlobal = (name: string): Known | undefined => globals.get(name) ?? predefined.get(name);
  const expandGlobal = (word: Word): Expanded => expander.word(word, findGlobal);

  for (const instruction of kubefile.globalArgs) {
    for (const visitor of visitors) visitor.globalArg?.(instruction, expandGlobal);
    for (const { name, default: fallback } of instruction.args) {
      const key = expandGlobal(name).value;
      if (key === undefined) continue;
      const given = buildArgs.get(key);
      globals.set(
        key,
        given !== undefined ? known(given) : fallback === undefined ? UNSET : known(expandGlobal(fallback).value),
      );
    }
  }

  const finished: Finished[] = [];
  const byName = stageNames(kubefile);
  for (const [index, stage] of kubefile.stages.entries()) {
    const base = baseOf(stage.from, expandGlobal, byName);
    const below = base.kind === 'stage' ? finished[base.index] : undefined;
    const env = new Environment(below?.env);
    const args = new Map<string, Known>();
    const find = (name: string): Known | undefined => env.get(name) ?? args.get(name) ?? inStages.get(name);
    const scope: StageScope = {
      stage,
      index,
      base,
      selfContained: base.kind === 'scratch' || below?.selfContained === true,
      expand: (word) => expander.word(word, find),
      expandHeredoc: (heredoc) => expander.heredoc(heredoc, find),
      find,
      declaredBy: (name) =>
        env.get(name) !== undefined ? 'env' : args.has(name) ? 'arg' : inStages.has(name) ? 'predefined' : undefined,
      isGlobal: (name) => globals.has(name) || (docker && predefined.has(name)),
      names: () => first(MOST_NAMES, args.keys(), inStages.keys(), env.names()),
    };
    for (const visitor of visitors) visitor.from?.(stage.from, scope, expandGlobal);
    for (const instruction of stage.instructions) {
      for (const visitor of visitors) visitor.instruction?.(instruction, scope);
      if (instruction.kind === 'ENV') setEnv(instruction, scope, env);
      else if (instruction.kind === 'ARG') declare(instruction, scope, args, findGlobal, buildArgs, options.declarable);
    }
    for (const visitor of visitors) visitor.endOfStage?.(scope);
    finished.push({ env, selfContained: scope.selfContained });
  }
}

/** The index of the first stage of each name. */
export function stageNames({ stages }: Kubefile): ReadonlyMap<string, number> {
  const names = new Map<string, number>();
  for (const { from } of stages) if (from.name !== undefined && !names.has(from.name)) names.set(from.name, from.index);
  return names;
}

function baseOf(
  from: FromInstruction,
  expand: (word: Word) => Expanded,
  names: ReadonlyMap<string, number>,
): StageBase {
  if (from.stage !== undefined) return { kind: 'stage', index: from.stage };
  const { value } = expand(from.image);
  if (value === undefined) return { kind: 'image' };
  const index = names.get(value.toLowerCase());
  if (index !== undefined && index < from.index) return { kind: 'stage', index };
  return value === 'scratch' ? { kind: 'scratch' } : { kind: 'image', name: value };
}

/** An instruction sees one snapshot of the environment, so all values are worked out before one is set. */
function setEnv({ pairs }: Extract<Instruction, { kind: 'ENV' }>, scope: StageScope, env: Environment): void {
  const values = pairs.map(({ key, value }) => [scope.expand(key).value, scope.expand(value).value] as const);
  for (const [name, value] of values) if (name !== undefined) env.set(name, known(value));
}

function declare(
  { args: declared }: ArgInstruction,
  scope: StageScope,
  args: Map<string, Known>,
  findGlobal: (name: string) => Known | undefined,
  buildArgs: ReadonlyMap<string, string>,
  declarable: readonly string[] = [],
): void {
  for (const { name, default: fallback } of declared) {
    const key = scope.expand(name).value;
    if (key === undefined) continue;
    const given = buildArgs.get(key);
    if (given !== undefined) args.set(key, known(given));
    else if (fallback !== undefined) args.set(key, known(scope.expand(fallback).value));
    // `ARG ARCH` without a default gives the predefined value.
    else args.set(key, findGlobal(key) ?? (declarable.includes(key) ? UNKNOWN : UNSET));
  }
}
