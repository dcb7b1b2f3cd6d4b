import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';
import { formatDuration } from '../base/format.js';
import type { Reporter } from '../base/reporter.js';
import type { ClusterImageType } from '../image/cluster-image.js';
import type { Compression } from '../image/media-types.js';
import type { Descriptor } from '../image/oci.js';
import type { Platform } from '../image/platform.js';
import type { Instruction, Kubefile, Stage } from '../kubefile-parser/ast.js';
import { parseKubefile } from '../kubefile-parser/parse.js';
import type { RegistryOptions } from '../registry/options.js';
import { BuildCache } from '../store/build-cache.js';
import type { Store } from '../store/store.js';
import { collectContainerImages } from './base.js';
import { commitImage } from './commit.js';
import { configChange } from './config-instructions.js';
import { BuildContext } from './context.js';
import { runCopy } from './copy.js';
import { expander } from './expand.js';
import { FileDigests } from './file-digests.js';
import { runFrom } from './from.js';
import { type BuildJob, createdTime } from './job.js';
import { finishMetadata } from './metadata.js';
import { configDone, type Outcome } from './outcome.js';
import { at } from './place.js';
import { runRun } from './run.js';
import type { StageState } from './stage.js';
import { neededStages, targetStage } from './stages.js';
import { refuseUnsupported } from './supported.js';
import { lookupIn, PROXY_VARIABLES, platformVariables } from './variables.js';

export interface BuildOptions {
  /** The build context. */
  readonly context: string;
  /** Path of the Kubefile; default `Kubefile` in the context. */
  readonly kubefile?: string;
  readonly platform: Platform;
  /** Names the image gets. */
  readonly tags: readonly string[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly type?: ClusterImageType;
  /** `lite`: no container images are collected unless a BASE instruction says so. */
  readonly mode: 'all' | 'lite';
  readonly useCache: boolean;
  readonly pull: 'missing' | 'always' | 'never';
  readonly isolation: 'auto' | 'host' | 'container';
  readonly network: 'host' | 'none';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Further image lists, as paths on this machine. */
  readonly imageLists: readonly string[];
  readonly compression: Compression;
  readonly compressionLevel?: number;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epoch?: number;
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
  /** The version of this program. */
  readonly version: string;
}

/**
 * Builds an image from a Kubefile and gives it its names. Until the very end nothing of it has a name: a build that fails or is
 * killed leaves at most blobs that the next `prune` removes, and a warm cache.
 * @throws SlipwayError E_KUBEFILE_SYNTAX with all mistakes of the file; whatever an instruction throws, with its place in the file.
 */
export async function buildImage(store: Store, options: BuildOptions): Promise<Descriptor> {
  const kubefile = await readKubefile(options);
  const target = targetStage(kubefile, options.target);
  const needed = neededStages(kubefile, target);
  refuseUnsupported(kubefile, needed);
  for (const { line, column, message } of kubefile.warnings)
    options.reporter.warn(`${kubefile.file}:${line}:${column}: ${message}`);
  return store.use(async () => {
    const context = await BuildContext.open(options.context, kubefile.file);
    const job: BuildJob = {
      ...options,
      store,
      kubefile,
      context,
      digests: await FileDigests.open(store, context.root),
      cache: new BuildCache(store),
      compressionLevel: options.compressionLevel,
      epoch: options.epoch,
    };
    try {
      const state = await runStages(job, needed);
      return await finish(job, state, needed, options);
    } finally {
      await job.digests.save();
    }
  });
}

/** Runs stages in order; gives the last one. */
async function runStages(job: BuildJob, stages: readonly Stage[]): Promise<StageState> {
  const globalArgs = declareGlobalArgs(job);
  const lookup = (name: string): string | undefined => globalArgs[name] ?? platformVariables(job.platform)[name];
  const done = new Map<number, StageState>();
  let state: StageState | undefined;
  for (const { from, instructions } of stages) {
    job.reporter.info(from.source);
    state = { ...(await runFrom(job, from, expander(job, lookup), done)), globalArgs };
    for (const [index, instruction] of instructions.entries()) {
      state = await runInstruction(job, state, instruction, `[${index + 1}/${instructions.length}]`);
    }
    done.set(from.index, state);
  }
  if (state === undefined) throw new SlipwayError('E_INTERNAL', 'a Kubefile without stages was accepted');
  warnUnusedArgs(job);
  return state;
}

async function runInstruction(
  job: BuildJob,
  state: StageState,
  instruction: Instruction,
  step: string,
): Promise<StageState> {
  job.signal.throwIfAborted();
  const started = Date.now();
  job.reporter.info(`${step} ${instruction.source}`);
  const expand = expander(job, lookupIn(state));
  const outcome = await execute();
  if (outcome.cached) job.reporter.info(`${step} cached`);
  else job.reporter.debug(`${step} ${formatDuration(Date.now() - started)}`);
  return outcome.state;

  async function execute(): Promise<Outcome> {
    switch (instruction.kind) {
      case 'COPY':
        return runCopy(job, state, instruction, expand, step);
      case 'RUN':
        return runRun(job, state, instruction, step);
      case 'BASE':
        return at(job, instruction.position, () =>
          collectContainerImages(job, state, { source: instruction.source, dir: expand(instruction.dir) }),
        );
      default: {
        const change = await at(job, instruction.position, async () => configChange(job, state, instruction, expand));
        if (change === undefined)
          throw new SlipwayError('E_INTERNAL', `${instruction.kind} was accepted and is not executed`);
        return configDone(state, instruction, change);
      }
    }
  }
}

/** What comes after the last instruction: container images nobody asked for by BASE, Metadata, config, manifest, names. */
async function finish(
  job: BuildJob,
  built: StageState,
  stages: readonly Stage[],
  options: BuildOptions,
): Promise<Descriptor> {
  const cluster = job.kubefile.directives.dialect === 'kubefile' || options.type !== undefined;
  let state = built;
  let metadata: Awaited<ReturnType<typeof finishMetadata>>['metadata'];
  if (cluster) {
    const asked = stages.some(({ instructions }) => instructions.some(({ kind }) => kind === 'BASE'));
    if (options.imageLists.length > 0 || (!asked && options.mode === 'all')) {
      state = (await collectContainerImages(job, state, { source: 'BASE rootfs cache', dir: '/' }, options.imageLists))
        .state;
    }
    ({ state, metadata } = await finishMetadata(job, state, options.type ?? 'kube-installer'));
  }
  const descriptor = await commitImage(job.store, state, {
    type: cluster ? (options.type ?? 'kube-installer') : 'image',
    metadata,
    labels: options.labels,
    annotations: options.annotations,
    created: imageTime(state, job),
    version: options.version,
  });
  job.signal.throwIfAborted();
  for (const name of options.tags) await job.store.tag(name, descriptor);
  return descriptor;
}

/** The image is as old as its newest layer, so that a build taken whole from the cache gives the image it gave before. */
function imageTime({ history }: StageState, job: BuildJob): string {
  const times = history.flatMap(({ created }) => (created === undefined ? [] : [created]));
  return times.sort((a, b) => Date.parse(a) - Date.parse(b)).at(-1) ?? createdTime(job);
}

async function readKubefile({ kubefile, context }: BuildOptions): Promise<Kubefile> {
  const file = kubefile ?? join(context, 'Kubefile');
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const missing = errnoOf(cause) === 'ENOENT';
    throw new SlipwayError('E_NOT_FOUND', `cannot read ${file}: ${missing ? 'no such file' : messageOf(cause)}`, {
      hint: 'a build needs a Kubefile in its context, or one given with -f',
      cause,
    });
  }
  return parseKubefile(bytes, file);
}

/** ARGs before the first FROM, each seeing those before it. */
function declareGlobalArgs(job: BuildJob): Record<string, string> {
  const values: Record<string, string> = {};
  for (const { args } of job.kubefile.globalArgs) {
    for (const { name: word, default: fallback } of args) {
      const expand = expander(job, (name) => values[name] ?? platformVariables(job.platform)[name]);
      const name = expand(word);
      const value = job.buildArgs[name] ?? (fallback === undefined ? undefined : expand(fallback));
      if (value !== undefined) values[name] = value;
    }
  }
  return values;
}

function warnUnusedArgs({ kubefile, buildArgs, reporter }: BuildJob): void {
  const declared = new Set<string>([...PROXY_VARIABLES]);
  const instructions = [...kubefile.globalArgs, ...kubefile.stages.flatMap((stage) => stage.instructions)];
  for (const instruction of instructions) {
    if (instruction.kind === 'ARG') for (const { name } of instruction.args) declared.add(name.raw);
  }
  const unused = Object.keys(buildArgs).filter((name) => !declared.has(name));
  if (unused.length > 0) reporter.warn(`no ARG declares ${unused.join(', ')}: --build-arg had no effect`);
}
