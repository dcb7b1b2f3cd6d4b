import { existsSync } from 'node:fs';
import { SlipwayError } from '../../base/errors.js';
import { redact } from '../../base/redact.js';
import { removeTree } from '../../base/remove-tree.js';
import { applicationDir, CNI_LABEL, CSI_LABEL, isApplicationName, startCommands } from '../../image/applications.js';
import type { Application } from '../../image/cluster-image.js';
import type { AppInstruction, Kubefile } from '../../kubefile-parser/ast.js';
import { locationOf } from '../../kubefile-parser/caret.js';
import { type MergedTree, mergeTocs } from '../../layers/merge.js';
import type { TocEntry } from '../../layers/toc.js';
import { planCopy } from '../copy/copy-plan.js';
import type { PlannedEntry } from '../copy/image-view.js';
import { type NamedSource, pickSources } from '../copy/pick.js';
import { runTransfer } from '../copy/transfer.js';
import type { BuildJob } from '../job.js';
import type { Outcome } from '../outcome.js';
import { at } from '../place.js';
import { layerToc, nextKey, type StageState, stageTree } from '../stages/stage.js';
import { neutralTime } from '../times.js';
import type { ExpandWord } from '../variables/expand.js';
import { type DetectedApplication, detectApplication } from './detect.js';
import { noCommands } from './launch.js';
import { parseAppSource } from './source.js';
import { type NamedSources, namedSources } from './sources.js';

/**
 * APP, CNI and CSI: brings the files of an application into its directory of the rootfs, in one layer, and notes how it is started. An
 * application of the base image with the same name is replaced, its files too.
 * @throws SlipwayError E_USAGE for a name that is none, an application declared twice, or one that nothing says how to start; what
 * finding and fetching the sources throws.
 */
export async function runApplication(
  job: BuildJob,
  state: StageState,
  instruction: AppInstruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  const name = await at(job, instruction.name.position, async () => declaredName(job, instruction, expand));
  return at(job, instruction.sources[0]?.position ?? instruction.position, async () => {
    const sources = instruction.sources.map((word) => parseAppSource(expand(word)));
    const staging = await job.store.temp.path('application');
    const plan: SourcePlan[] = [];
    try {
      const base = await withoutDirectory(job, state, applicationDir(name));
      for (const [index, source] of sources.entries()) {
        const named = await namedSources(job, source, `${staging}/${index}`);
        plan.push({ ...named, files: filesOf(job, name, named.sources) });
      }
      const detected = detectApplication(
        name,
        plan.map(({ files }) => files),
      );
      checkStart(job.kubefile, instruction, name, plan, detected);
      const planned = planFiles(job, instruction, name, plan, base);
      const facts = [name, plan.map(({ facts: own }) => own)];
      // The text becomes history of the image: not with the password that a URL may have in it.
      const shown = { ...instruction, source: redact(instruction.source) };
      const done = await runTransfer(job, state, { instruction: shown, facts, link: false, planned }, step);
      return { ...done, state: declare(done.state, instruction, describe(name, detected)) };
    } finally {
      for (const { dispose } of plan) await dispose?.();
      if (existsSync(staging)) await removeTree(staging);
    }
  });
}

interface SourcePlan extends NamedSources {
  /** The files it brings, relative to the directory of the application, sorted. */
  readonly files: readonly string[];
}

function declaredName({ kubefile }: BuildJob, instruction: AppInstruction, expand: ExpandWord): string {
  const name = expand(instruction.name);
  if (!isApplicationName(name))
    throw new SlipwayError('E_USAGE', `${JSON.stringify(name)} cannot be the name of an application`, {
      hint: 'letters, digits, ".", "_" and "-", a letter or digit first: it becomes a directory',
    });
  const stage = kubefile.stages.find(({ instructions }) => instructions.includes(instruction));
  const same = stage?.instructions.find(
    (one) => isApp(one) && one !== instruction && one.name.raw === instruction.name.raw,
  );
  if (same !== undefined && same.position.line < instruction.position.line)
    throw new SlipwayError(
      'E_USAGE',
      `the application ${name} is declared a second time; the first is ${locationOf(kubefile.file, same.position)}`,
      { hint: `name all its sources in one ${instruction.kind}` },
    );
  return name;
}

/** The image as it is, without what a directory of it holds. */
async function withoutDirectory({ store }: BuildJob, state: StageState, dir: string): Promise<MergedTree> {
  const tree = await stageTree(store, state);
  if (tree.get(dir)?.entry.type !== 'dir') return tree;
  const tocs = [];
  for (const layer of state.layers) tocs.push(await layerToc(store, layer));
  const emptied: TocEntry = { path: dir, type: 'opaque', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: 0, offset: 0 };
  return mergeTocs([...tocs, { diffId: state.key, unpackedSize: 0, entries: [emptied] }]);
}

const EMPTY_IMAGE = mergeTocs([]);

/** The files that sources bring, by themselves. */
function filesOf(job: BuildJob, name: string, sources: readonly NamedSource[]): string[] {
  const { dialect } = job.kubefile.directives;
  const { picks } = pickSources(sources, { dialect, parents: false });
  const dir = `${applicationDir(name)}/`;
  const planned = planCopy({
    picks,
    destination: `/${dir}`,
    workdir: '/',
    base: EMPTY_IMAGE,
    link: false,
    parents: false,
    changes: { time: 0 },
  });
  return planned
    .filter(({ type, path }) => (type === 'file' || type === 'symlink' || type === 'hardlink') && path.startsWith(dir))
    .map(({ path }) => path.slice(dir.length));
}

/** All sources laid upon each other in the directory of the application, which holds nothing else. */
function planFiles(
  job: BuildJob,
  { source }: AppInstruction,
  name: string,
  plan: readonly SourcePlan[],
  base: MergedTree,
): PlannedEntry[] {
  const { dialect } = job.kubefile.directives;
  const { picks, warnings } = pickSources(
    plan.flatMap(({ sources }) => sources),
    { dialect, parents: false },
  );
  for (const warning of warnings) job.reporter.warn(`${source}: ${warning}`);
  const dir = applicationDir(name);
  const planned = planCopy({
    picks,
    destination: `/${dir}/`,
    workdir: '/',
    base,
    link: false,
    parents: false,
    changes: { time: neutralTime(job) },
  });
  const below = base.get(dir)?.entry;
  if (below === undefined) return planned;
  const { mode, uid, gid, mtime } = below;
  const at = planned.findIndex(({ path }) => path === dir) + 1;
  return planned.toSpliced(at, 0, { path: dir, type: 'opaque', mode, uid, gid, mtime, size: 0 });
}

/** An application that nobody can start is told here, unless an APPCMDS for it is still to come. */
function checkStart(
  { stages }: Kubefile,
  { name: word, kind }: AppInstruction,
  name: string,
  plan: readonly SourcePlan[],
  detected: DetectedApplication,
): void {
  if (plan.every(({ files }) => files.length === 0))
    throw new SlipwayError('E_COPY', `${kind} ${name}: its sources hold no file`);
  const starts = startCommands(describe(name, detected)).length > 0;
  const release = detected.type !== 'helm' || RELEASE.test(name);
  if (starts && release) return;
  const told = stages.some(({ instructions }) =>
    instructions.some(
      (one) =>
        one.kind === 'APPCMDS' && (one.name.raw === word.raw || one.name.raw === name || /[$"'\\]/.test(one.name.raw)),
    ),
  );
  if (told) return;
  if (!starts) throw noCommands({ name });
  throw new SlipwayError('E_USAGE', `helm has no release ${JSON.stringify(name)}, as this chart would be called`, {
    hint: `at most 53 lower-case letters, digits, "-" and "."; or say how it is installed: APPCMDS ${name} ["helm install …"]`,
  });
}

/** What helm takes as the name of a release. */
const RELEASE = /^(?=.{1,53}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;

/** sealer's v1 application. */
function describe(name: string, { type, files, cmds }: DetectedApplication): Application {
  return {
    name,
    ...(type === undefined ? {} : { type }),
    ...(files.length === 0 ? {} : { files: [...files] }),
    version: 'v1',
    ...(cmds === undefined ? {} : { cmds: [...cmds] }),
  };
}

/** Notes the application, in the place of one with its name, and the label that CNI and CSI give it. */
function declare(state: StageState, { kind }: AppInstruction, app: Application): StageState {
  const others = state.applications.some(({ name }) => name === app.name)
    ? state.applications.map((one) => (one.name === app.name ? app : one))
    : [...state.applications, app];
  const labels = { ...state.labels };
  delete labels[CNI_LABEL + app.name];
  delete labels[CSI_LABEL + app.name];
  if (kind === 'CNI') labels[CNI_LABEL + app.name] = 'true';
  if (kind === 'CSI') labels[CSI_LABEL + app.name] = 'true';
  return { ...state, applications: others, labels, key: nextKey(state.key, kind, app) };
}

function isApp(instruction: { readonly kind: string }): instruction is AppInstruction {
  return instruction.kind === 'APP' || instruction.kind === 'CNI' || instruction.kind === 'CSI';
}
