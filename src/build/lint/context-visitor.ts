import { readFileSync, statSync } from 'node:fs';
import { isSlipwayError, messageOf } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import type { ClusterImageType } from '../../image/cluster-image.js';
import { completeMetadata, METADATA_PATH, parseMetadata } from '../../image/metadata.js';
import type { Platform } from '../../image/platform.js';
import type { Instruction, Kubefile } from '../../kubefile-parser/ast.js';
import type { Position } from '../../kubefile-parser/position.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import { commandFiles } from '../../lint/command-paths.js';
import type { Report } from '../../lint/finding.js';
import type { StageScope, Visitor } from '../../lint/walk.js';
import { shellTexts } from '../../lint/words.js';
import type { BuildContext } from '../context/context.js';
import { missingFromRootfs } from '../finish/metadata.js';
import { lintCopy } from './copies.js';
import { newBudget, StageFiles } from './stage-files.js';

const METADATA_LIMIT = 1024 * 1024;

export interface ContextLint {
  readonly kubefile: Kubefile;
  readonly context: BuildContext;
  readonly platform: Platform;
  readonly type: ClusterImageType;
  /** The index of the stage that is built. */
  readonly built: number;
  readonly report: Report;
}

/** A launch command, and where it is written. */
interface Launch {
  readonly text: string;
  readonly at: Position;
}

interface StageState {
  readonly files: StageFiles;
  /** Undefined when it cannot be told. */
  workdir: string | undefined;
  readonly launch: Launch[];
}

/** The rules that need the build context: sources of COPY and ADD, what the rootfs will hold, files that launch commands name. */
export function contextVisitor(lint: ContextLint): Visitor {
  const { kubefile, context, built, report } = lint;
  const budget = newBudget();
  const stages: StageState[] = [];
  return {
    from(_from, { index, base }) {
      const below = base.kind === 'stage' ? stages[base.index] : undefined;
      stages[index] = {
        files: new StageFiles(budget, below?.files, base.kind !== 'image'),
        workdir: base.kind === 'image' ? undefined : (below?.workdir ?? '/'),
        launch: [...(below?.launch ?? [])],
      };
    },
    instruction(instruction, scope) {
      const state = stages[scope.index];
      if (state === undefined) return;
      const { files } = state;
      if (instruction.kind === 'WORKDIR') state.workdir = workdirAfter(state.workdir, instruction, scope);
      else if (instruction.kind === 'RUN') files.complete = false;
      else if (instruction.kind === 'COPY' || instruction.kind === 'ADD') {
        const from = instruction.kind === 'COPY' ? instruction.from?.stage : undefined;
        const other = from === undefined ? undefined : stages[from]?.files;
        lintCopy({ instruction, scope, files, other, workdir: state.workdir, context, kubefile, report });
      } else if (instruction.kind === 'CMD' || instruction.kind === 'CMDS')
        for (const text of shellTexts(instruction)) state.launch.push({ text, at: instruction.position });
      else checkApplicationSources(instruction, scope, lint);
    },
    endOfStage({ index, stage }) {
      const state = stages[index];
      if (state === undefined || index !== built || !state.files.complete || state.files.exhausted) return;
      if (kubefile.directives.dialect === 'docker') return;
      if (lint.type === 'kube-installer') checkContract(state.files, stage.from.position, lint);
      checkLaunchFiles(state, report);
    },
  };
}

function workdirAfter(
  workdir: string | undefined,
  { path }: Extract<Instruction, { kind: 'WORKDIR' }>,
  scope: StageScope,
): string | undefined {
  const value = scope.expand(path).value;
  if (value === undefined) return undefined;
  return value.startsWith('/') ? value : workdir === undefined ? undefined : `${workdir}/${value}`;
}

/** `missing-contract-directory` and `invalid-metadata`. */
function checkContract(files: StageFiles, at: Position, { report, platform }: ContextLint): void {
  const missing = missingFromRootfs(files.tree);
  if (missing.length > 0)
    report(
      'missing-contract-directory',
      at,
      `the rootfs has no ${missing.map(({ path, use }) => `${path} (${use})`).join('; no ')}`,
      'copy what is missing, begin with a base image that has it, or build with --type app-installer',
    );
  const found = files.tree.resolve(METADATA_PATH).found;
  const file = found?.source === undefined ? undefined : files.fileOf(found.source.entry);
  if (found === undefined || file === undefined) return;
  const where = files.madeAt(found.layer) ?? at;
  try {
    if (statSync(file).size > METADATA_LIMIT)
      report('invalid-metadata', where, `${file} is larger than 1 MB`, 'Metadata is a small JSON file');
    else completeMetadata(parseMetadata(readFileSync(file, 'utf8'), file), platform, file);
  } catch (error) {
    const hint = isSlipwayError(error) ? error.hint : undefined;
    report('invalid-metadata', where, messageOf(error), hint ?? 'mend the file: the build refuses it');
  }
}

/** `missing-launch-file`. */
function checkLaunchFiles({ files, launch }: StageState, report: Report): void {
  const { tree } = files;
  for (const { text, at } of launch)
    for (const file of commandFiles(text)) {
      if (resolves(files, file)) continue;
      const dir = parentOf(file);
      const near = suggest(
        nameOf(file),
        tree.children(dir).map(({ entry }) => nameOf(entry.path)),
      );
      report(
        'missing-launch-file',
        at,
        `the rootfs has no ${file}`,
        near === undefined ? 'launch commands begin at the root of the rootfs' : `did you mean ${joinPath(dir, near)}?`,
      );
    }
}

/** True also for links in circles: what they mean is said elsewhere. */
function resolves({ tree }: StageFiles, path: string): boolean {
  try {
    return tree.resolve(path).found !== undefined;
  } catch {
    return true;
  }
}

/** `copy-source-missing` for the `local://` sources of applications. */
function checkApplicationSources(instruction: Instruction, scope: StageScope, { context, report }: ContextLint): void {
  if (instruction.kind !== 'APP' && instruction.kind !== 'CNI' && instruction.kind !== 'CSI') return;
  for (const word of instruction.sources) {
    const path = /^local:\/\/\/?(.+)$/s.exec(scope.expand(word).value ?? '')?.[1];
    if (path === undefined || /[*?[]/.test(path)) continue;
    let found = true;
    try {
      found = context.find(path) !== undefined;
    } catch (error) {
      report('copy-impossible', word.position, messageOf(error), 'only what is in the context can be taken');
    }
    if (!found)
      report(
        'copy-source-missing',
        word.position,
        `${path} is not in the build context`,
        'local:// begins at the context',
      );
  }
}
