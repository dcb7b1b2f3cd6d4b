import { isSlipwayError, messageOf } from '../../base/errors.js';
import type { AddInstruction, CopyInstruction, Kubefile } from '../../kubefile-parser/ast.js';
import type { Position } from '../../kubefile-parser/position.js';
import type { Report } from '../../lint/finding.js';
import type { StageScope } from '../../lint/walk.js';
import type { BuildContext } from '../context/context.js';
import { hasWildcard, unescapePattern } from '../context/wildcard.js';
import { planCopy } from '../copy/copy-plan.js';
import { compileExcludes } from '../copy/exclude.js';
import type { PlannedEntry } from '../copy/image-view.js';
import { type NamedSource, type Pick, pickSources } from '../copy/pick.js';
import { singleSource } from '../copy/single-source.js';
import type { SourceTree } from '../copy/source-tree.js';
import { stageSource } from '../copy/stage-source.js';
import type { StageFiles } from './stage-files.js';

/** One COPY or ADD, and what is known where it stands. */
export interface CopyLint {
  readonly instruction: CopyInstruction | AddInstruction;
  readonly scope: StageScope;
  readonly files: StageFiles;
  /** The files of the stage that `--from` names. */
  readonly other: StageFiles | undefined;
  /** Undefined when it cannot be told. */
  readonly workdir: string | undefined;
  readonly context: BuildContext;
  readonly kubefile: Kubefile;
  readonly report: Report;
}

/** A source whose value is known, and where it is written. */
interface Source extends NamedSource {
  readonly at: Position;
  /** As it is written. */
  readonly raw: string;
}

/** Names that have another value for every platform. */
const PLATFORM_VARIABLE = /\$\{?(?:ARCH|OS|VARIANT|TARGET(?:PLATFORM|OS|ARCH|VARIANT))\b/;
/** What ADD takes from elsewhere, or takes apart. */
const REMOTE = /^(?:[a-z][a-z0-9+.-]*:\/\/|git@)|\.git(?:[#?]|$)/i;
const ARCHIVE = /\.(?:tar|t[gxb]z\d?|tzst|tar\.\w+|gz|bz2|xz|zst)$/i;

/** The rules about what COPY and ADD take and where they put it, and account of what they bring. */
export function lintCopy(lint: CopyLint): void {
  const { files, instruction } = lint;
  if (files.exhausted) return;
  const sure = files.complete;
  const from = instruction.kind === 'COPY' ? instruction.from : undefined;
  const tree =
    from === undefined
      ? lint.context
      : lint.other === undefined
        ? undefined
        : stageSource(lint.other.tree, [], `the stage ${from.name}`);
  if (tree === undefined) {
    files.complete = false; // an image
    return;
  }
  const named = namedSources(lint, tree);
  const found = pickAll(lint, named);
  if (found.missing || named.length < instruction.sources.length || lint.other?.complete === false)
    files.complete = false;
  const picks = [...found.picks, ...heredocPicks(lint)];
  const destination = lint.scope.expand(instruction.destination).value;
  const workdir = destination?.startsWith('/') ? '/' : lint.workdir;
  if (destination === undefined || workdir === undefined) files.complete = false;
  else if (picks.length > 0) place(lint, picks, destination, workdir, sure && !found.missing);
}

/** The sources whose names are known and that are files as they stand. */
function namedSources({ instruction, scope }: CopyLint, tree: SourceTree): Source[] {
  return instruction.sources.flatMap(({ raw, position }) => {
    const name = scope.expand({ raw, position }).value;
    if (name === undefined || (instruction.kind === 'ADD' && REMOTE.test(name))) return [];
    return [{ tree, name, raw, at: position }];
  });
}

/** Finds what every source means, one by one, so that all that are missing are told. */
function pickAll(
  lint: CopyLint,
  sources: readonly Source[],
): { readonly picks: readonly Pick[]; readonly missing: boolean } {
  const { instruction, kubefile } = lint;
  const options = {
    dialect: kubefile.directives.dialect,
    parents: instruction.kind === 'COPY' && instruction.parents,
  };
  const picks: Pick[] = [];
  const failed: { readonly source: Source; readonly error: unknown }[] = [];
  let archive = false;
  for (const source of sources) {
    try {
      const picked = pickSources([source], options).picks;
      archive ||= instruction.kind === 'ADD' && picked.some(({ entry }) => ARCHIVE.test(entry.path));
      picks.push(...picked);
    } catch (error) {
      failed.push({ source, error });
    }
  }
  const alone = picks.length + instruction.heredocs.length === 0;
  for (const { source, error } of failed) explain(lint, source, error, alone);
  return { picks, missing: failed.length > 0 || archive };
}

/** @param alone no other source of the instruction has a match. */
function explain({ report, other }: CopyLint, { tree, name, raw, at }: Source, error: unknown, alone: boolean): void {
  // What a RUN or an image has put into the stage is not known.
  if (other?.complete === false) return;
  const hint = isSlipwayError(error) ? error.hint : undefined;
  const path = name.replace(/^(?:\.?\/)+/, '');
  if (hasWildcard(path)) {
    const help = hint ?? 'take it away, or mend the pattern';
    report('copy-matches-nothing', at, messageOf(error), help, alone ? undefined : 'warning');
    return;
  }
  let rule: 'copy-source-missing' | 'copy-source-hidden' | 'copy-impossible' = 'copy-impossible';
  try {
    const entry = tree.find(unescapePattern(path));
    if (entry === undefined) rule = 'copy-source-missing';
    else if (entry.hiddenBy !== undefined) rule = 'copy-source-hidden';
  } catch {
    // It leaves the context, or goes in circles: the message says so.
  }
  if (rule === 'copy-source-missing' && PLATFORM_VARIABLE.test(raw))
    report(
      'copy-source-not-fetched',
      at,
      `${name} (${raw}) is not in ${tree.what}`,
      'what belongs to a platform is often fetched first; what depends on it is not checked',
    );
  else report(rule, at, messageOf(error), hint ?? `name something that is in ${tree.what}`);
}

/** Heredocs as the files they will be; what is in them does not matter here. */
function heredocPicks({ instruction }: CopyLint): Pick[] {
  return instruction.heredocs.flatMap(({ name, content }) => {
    const tree = singleSource(name, { path: name, mode: 0o644, size: content.length });
    const entry = name.includes('/') ? undefined : tree.find(name);
    return entry === undefined ? [] : [{ tree, entry, contents: false, parents: [] }];
  });
}

/** @param sure what is in the image so far is known, so that a failure is one of the build too. */
function place(lint: CopyLint, picks: readonly Pick[], destination: string, workdir: string, sure: boolean): void {
  const { instruction, files, scope, report } = lint;
  const patterns = instruction.exclude.map((word) => scope.expand(word).value);
  let entries: readonly PlannedEntry[];
  try {
    const excludes = compileExcludes(patterns.filter((pattern) => pattern !== undefined));
    entries = planCopy({
      picks,
      destination,
      workdir,
      base: files.tree,
      link: instruction.link,
      parents: instruction.kind === 'COPY' && instruction.parents,
      changes: { time: 0, ...(excludes === undefined ? {} : { excludes }) },
    });
  } catch (error) {
    files.complete = false;
    const hint = isSlipwayError(error) ? error.hint : undefined;
    if (sure)
      report('copy-impossible', instruction.destination.position, messageOf(error), hint ?? 'choose another place');
    return;
  }
  if (patterns.includes(undefined)) files.complete = false;
  tellOverwritten(lint, entries);
  files.add(entries, instruction.position);
}

/** `copy-overwrites`. */
function tellOverwritten({ files, instruction, report }: CopyLint, entries: readonly PlannedEntry[]): void {
  let count = 0;
  let first: { readonly path: string; readonly line: number | undefined } | undefined;
  for (const { path, type } of entries) {
    if (type === 'dir' || type === 'opaque') continue;
    const below = files.tree.get(path);
    if (below === undefined || below.entry.type === 'dir') continue;
    count++;
    first ??= { path, line: files.madeAt(below.layer)?.line };
  }
  if (first === undefined) return;
  const others = count === 1 ? '' : ` and ${count - 1} more`;
  report(
    'copy-overwrites',
    instruction.position,
    `this overwrites ${first.path}${first.line === undefined ? '' : ` of line ${first.line}`}${others}: the layers carry both`,
    'do not copy the first one: hide it in .dockerignore, or copy what is around it',
  );
}
