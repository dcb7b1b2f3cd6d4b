import { isSlipwayError, messageOf } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import type { AddInstruction, CopyInstruction, Kubefile } from '../../kubefile-parser/ast.js';
import type { Word } from '../../kubefile-parser/parts.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import { growingTree, type MergedTree } from '../../layers/merge.js';
import type { PackEntry } from '../../layers/toc.js';
import type { Report } from '../../lint/finding.js';
import type { StageScope } from '../../lint/walk.js';
import type { BuildContext } from '../context.js';
import { type CopyPlan, planCopy } from '../copy-plan.js';
import { hasWildcard, unescapePattern } from '../wildcard.js';
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

/** A source whose value is known. */
interface Source {
  readonly word: Word;
  readonly value: string;
}

/** Names that have another value for every platform. */
const PLATFORM_VARIABLE = /\$\{?(?:ARCH|OS|VARIANT|TARGET(?:PLATFORM|OS|ARCH|VARIANT))\b/;
/** What ADD takes from elsewhere, or takes apart. */
const REMOTE = /^(?:[a-z][a-z0-9+.-]*:\/\/|git@)|\.git(?:[#?]|$)/i;
const ARCHIVE = /\.(?:tar|t[gxb]z\d?|tzst|tar\.\w+|gz|bz2|xz|zst)$/i;

/** The rules about what COPY and ADD take and where they put it, and account of what they bring. */
export function lintCopy(lint: CopyLint): void {
  try {
    lookAtCopy(lint);
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    lint.files.complete = false; // links of the rootfs that go in circles: a build tells more
  }
}

function lookAtCopy(lint: CopyLint): void {
  const { instruction, scope, files, workdir } = lint;
  const sources = knownSources(lint);
  const destination = scope.expand(instruction.destination).value;
  const from = instruction.kind === 'COPY' ? instruction.from : undefined;
  if (files.exhausted) return;
  if (from !== undefined) {
    files.complete = copyFromStage(lint, sources, destination) && files.complete;
    return;
  }
  const local = sources.filter(({ value }) => instruction.kind === 'COPY' || !REMOTE.test(value));
  const plain = local.filter(({ value }) => instruction.kind === 'COPY' || !ARCHIVE.test(value));
  const whole =
    plain.length === instruction.sources.length &&
    destination !== undefined &&
    (workdir !== undefined || destination.startsWith('/')) &&
    instruction.exclude.length === 0 &&
    !(instruction.kind === 'COPY' && instruction.parents);
  const plan = whole ? tryPlan(lint, plain, destination) : undefined;
  if (plan === undefined) {
    const failed = local.filter((source) => explainMissing(lint, source)).length;
    // What a base image or a RUN may have put there is not known, so only sure mistakes are told.
    if (whole && failed === 0 && files.complete && plain.length > 0) explainImpossible(lint, plain, destination);
    if (instruction.sources.length > 0) files.complete = false;
  } else {
    tellOverwritten(lint, plan);
    files.add(plan.entries, instruction.position);
    for (const source of plain.length > 1 ? plain : [])
      if (hasWildcard(source.value)) explainMissing(lint, source, 'warning');
  }
  addHeredocs(lint, destination);
}

function knownSources({ instruction, scope }: CopyLint): Source[] {
  return instruction.sources.flatMap((word) => {
    const { value } = scope.expand(word);
    return value === undefined ? [] : [{ word, value }];
  });
}

function plan(
  { context, kubefile, workdir }: CopyLint,
  sources: readonly Source[],
  destination: string,
  base: MergedTree,
): CopyPlan {
  return planCopy({
    sources: sources.map(({ value }) => value),
    destination,
    workdir: workdir ?? '/',
    context,
    base,
    dialect: kubefile.directives.dialect,
  });
}

function tryPlan(lint: CopyLint, sources: readonly Source[], destination: string): CopyPlan | undefined {
  if (sources.length === 0) return undefined;
  try {
    return plan(lint, sources, destination, lint.files.tree);
  } catch {
    return undefined;
  }
}

/** Reports a source that cannot be copied wherever it goes; false when there is nothing wrong with it. */
function explainMissing(lint: CopyLint, source: Source, severity?: 'warning'): boolean {
  const { context, report } = lint;
  const { word, value } = source;
  try {
    lint.files.spend(plan(lint, [source], '/somewhere/', growingTree()).entries.length);
    return false;
  } catch (error) {
    const message = messageOf(error);
    const hint = isSlipwayError(error) ? error.hint : undefined;
    const path = value.replace(/^(?:\.?\/)+/, '');
    if (hasWildcard(path)) {
      report('copy-matches-nothing', word.position, message, hint ?? 'take it away, or mend the pattern', severity);
      return true;
    }
    let rule: 'copy-source-missing' | 'copy-source-hidden' | 'copy-impossible' = 'copy-impossible';
    try {
      const clean = unescapePattern(path);
      if (context.find(clean) === undefined) rule = 'copy-source-missing';
      else if (context.hiddenBy(clean) !== undefined) rule = 'copy-source-hidden';
    } catch {
      // It leaves the context, or goes in circles: the message says so.
    }
    if (rule === 'copy-source-missing' && PLATFORM_VARIABLE.test(word.raw))
      report(
        'copy-source-not-fetched',
        word.position,
        `${value} (${word.raw}) is not in the build context`,
        'what belongs to a platform is often fetched first; what depends on it is not checked',
      );
    else report(rule, word.position, message, hint ?? 'name something that is in the build context');
    return true;
  }
}

/** Every source is there, and still they cannot be copied together, or not to this place. */
function explainImpossible(lint: CopyLint, sources: readonly Source[], destination: string): void {
  const { files, instruction, report } = lint;
  try {
    plan(lint, sources, destination, files.tree);
  } catch (error) {
    const hint = isSlipwayError(error) ? error.hint : undefined;
    report('copy-impossible', instruction.destination.position, messageOf(error), hint ?? 'choose another destination');
  }
}

/** `copy-overwrites`. */
function tellOverwritten({ files, instruction, report }: CopyLint, { entries }: CopyPlan): void {
  let count = 0;
  let first: { readonly path: string; readonly line: number | undefined } | undefined;
  for (const { path, type } of entries) {
    if (type === 'dir') continue;
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

/** `COPY --from=STAGE`: true when all that it brings is known. */
function copyFromStage(lint: CopyLint, sources: readonly Source[], destination: string | undefined): boolean {
  const { instruction, other, files, workdir, report } = lint;
  if (other === undefined || destination === undefined || sources.length < instruction.sources.length) return false;
  if (workdir === undefined && !destination.startsWith('/')) return false;
  const entries: PackEntry[] = [];
  let whole = other.complete && instruction.exclude.length === 0 && !('parents' in instruction && instruction.parents);
  const target = files.tree.resolve(destination.startsWith('/') ? destination : `${workdir}/${destination}`).path;
  const isDirectory = /(?:^|\/)\.{0,2}$/.test(destination) || files.tree.get(target)?.entry.type === 'dir';
  for (const { value, word } of sources) {
    if (hasWildcard(value)) {
      whole = false;
      continue;
    }
    const { found, path } = other.tree.resolve(unescapePattern(value));
    if (found === undefined) {
      if (!other.complete) return false;
      const near = suggest(
        nameOf(path),
        other.tree.children(parentOf(path)).map(({ entry }) => nameOf(entry.path)),
      );
      report(
        'copy-source-missing',
        word.position,
        `the stage ${'from' in instruction ? instruction.from?.name : ''} has no ${value}`,
        near === undefined ? 'name a file of that stage' : `did you mean ${joinPath(parentOf(path), near)}?`,
      );
      whole = false;
    } else if (found.entry.type === 'dir') {
      for (const { entry } of below(other.tree, path))
        entries.push({ ...entry, path: joinPath(target, entry.path.slice(path === '' ? 0 : path.length + 1)) });
    } else entries.push({ ...found.entry, path: isDirectory ? joinPath(target, nameOf(path)) : target });
  }
  files.add(entries.map(plainEntry), instruction.position);
  return whole;
}

/** Hard links are shown as files: only names matter here. */
function plainEntry({ linkTarget, ...entry }: PackEntry): PackEntry {
  return entry.type === 'hardlink'
    ? { ...entry, type: 'file' }
    : { ...entry, ...(linkTarget === undefined ? {} : { linkTarget }) };
}

function* below(tree: MergedTree, dir: string): Generator<ReturnType<MergedTree['children']>[number]> {
  for (const child of tree.children(dir)) {
    yield child;
    if (child.entry.type === 'dir') yield* below(tree, child.entry.path);
  }
}

function addHeredocs({ instruction, files, workdir }: CopyLint, destination: string | undefined): void {
  const { heredocs, sources } = instruction;
  if (heredocs.length === 0) return;
  if (destination === undefined || (workdir === undefined && !destination.startsWith('/'))) {
    files.complete = false;
    return;
  }
  const target = files.tree.resolve(destination.startsWith('/') ? destination : `${workdir}/${destination}`).path;
  const isDirectory =
    /(?:^|\/)\.{0,2}$/.test(destination) ||
    target === '' ||
    heredocs.length + sources.length > 1 ||
    files.tree.get(target)?.entry.type === 'dir';
  const entries = heredocs.map(
    ({ name, content }): PackEntry => ({
      path: isDirectory ? joinPath(target, name) : target,
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: Buffer.byteLength(content),
      mtime: 0,
    }),
  );
  files.add(entries, instruction.position);
}
