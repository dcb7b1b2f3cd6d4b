import { relative } from 'node:path';
import { isSlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { silentReporter } from '../../base/reporter.js';
import { formatPlatform, type Platform } from '../../image/platform.js';
import type { Instruction, Kubefile } from '../../kubefile-parser/ast.js';
import type { RegistryOptions } from '../../registry/options.js';
import type { Store } from '../../store/store.js';
import { parseGitSource } from '../add/git-source.js';
import type { InstructionCache } from '../cache/instruction-cache.js';
import { BuildContext } from '../context/context.js';
import { FileDigests } from '../context/file-digests.js';
import type { DryRun } from '../dry-run.js';
import type { BuildJob } from '../job.js';
import { buildStages } from '../stages/build-stages.js';
import { imageStage } from '../stages/from.js';
import { emptyStage, type StageState, stageTree } from '../stages/stage.js';
import { targetStage } from '../stages/target-stage.js';
import { expander } from '../variables/expand.js';
import { lookupIn } from '../variables/variables.js';
import { carriedNames } from './base.js';
import type { ImageCollection } from './collection.js';
import { ImageLock, type LockMode } from './image-lock.js';
import { resolveImages } from './resolve-images.js';
import { fileAt, originOf, type Rootfs } from './rootfs-files.js';
import { joinWanted, type Survey, type SurveyedPlace } from './survey.js';
import { missingImages, type WantedImages, wantedImages } from './wanted-images.js';

export interface ContextSurveyOptions {
  readonly context: string;
  readonly kubefile: Kubefile;
  readonly platform: Platform;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string | undefined;
  /** As in a build: `lite` looks only where BASE says so. */
  readonly mode: 'all' | 'lite';
  readonly images: ImageCollection;
  /** `update`: registries are asked what the names stand for, and the lock file is written. */
  readonly lock: LockMode;
  readonly registry: RegistryOptions;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}

/** A dry run takes nothing from a cache and leaves nothing there. */
const NO_CACHE: InstructionCache = { knows: async () => false, get: async () => undefined, put: async () => {} };

/**
 * What a build of a context would ask for, found without building: COPY is planned and nothing is packed; what RUN, downloads and archives would bring
 * cannot be known, and is said. Registries are asked only to write the lock file.
 */
export async function surveyContext(store: Store, options: ContextSurveyOptions): Promise<Survey> {
  const { kubefile, platform, images, reporter, signal } = options;
  return store.use(async () => {
    const context = await BuildContext.open(options.context, kubefile.file, kubefile.directives.dialect);
    const lock = await ImageLock.open(context.root, options.lock);
    const found: { readonly wanted: WantedImages; readonly rootfs: Rootfs }[] = [];
    const unseen: string[] = [];
    const search = async (state: StageState, dir: string, lists: readonly string[]): Promise<void> => {
      const rootfs = { tree: await stageTree(store, state), layers: state.layers };
      found.push({
        wanted: await wantedImages({ store, cache: undefined, platform, images, signal }, rootfs, dir, lists),
        rootfs,
      });
    };
    const job: Omit<BuildJob, 'stages'> = {
      ...options,
      store,
      context,
      lock,
      digests: await FileDigests.open(store, context.root),
      cache: NO_CACHE,
      heavy: (work) => work(),
      useCache: false,
      pull: 'never',
      isolation: 'auto',
      network: 'none',
      secrets: new Map(),
      runTimeoutMs: undefined,
      compression: 'none',
      compressionLevel: undefined,
      epoch: undefined,
      reporter: { ...silentReporter, warn: (line) => unseen.push(line) },
      dryRun: dryRun(options, store, unseen, search),
    };
    lock.begin(platform);
    const { state, needed } = await buildStages(job, targetStage(kubefile, options.target));
    const asked = needed.some(({ instructions }) => instructions.some(({ kind }) => kind === 'BASE'));
    const collects = kubefile.directives.dialect === 'kubefile';
    if (images.lists.length > 0 || (collects && !asked && options.mode === 'all'))
      await search(state, '/', images.lists);
    const wanted = joinWanted(found.map((one) => one.wanted));
    const carried = carriedNames(state.containerImages);
    const missing = missingImages(wanted.images, carried);
    if (options.lock === 'update') {
      await resolveImages({ ...job, reporter, pull: 'missing' }, missing);
      const written = await lock.save(store);
      if (written !== undefined) reporter.info(`wrote ${written}`);
    }
    return {
      images: wanted.images.map(({ name, places }) => ({
        name,
        places: places.map((place) =>
          withOrigin(
            place,
            found.map(({ rootfs }) => rootfs),
            context.root,
          ),
        ),
        carried: carried.has(name),
        locked: lock.digest(name, platform),
      })),
      left: wanted.left,
      warnings: [...unseen, ...wanted.warnings, ...staleLock(lock, missing, platform)],
    };
  });
}

function dryRun(
  options: ContextSurveyOptions,
  store: Store,
  unseen: string[],
  search: (state: StageState, dir: string, lists: readonly string[]) => Promise<void>,
): DryRun {
  const { kubefile, registry, reporter } = options;
  const skip = ({ position, source }: Instruction, why: string): void => {
    unseen.push(
      `${kubefile.file}:${position.line}: ${source.length > 60 ? `${source.slice(0, 59)}…` : source}: ${why}`,
    );
  };
  return {
    async instruction(instruction, state, execute) {
      switch (instruction.kind) {
        case 'RUN':
          skip(instruction, 'not executed; images in files that it makes are not seen');
          return state;
        case 'BASE':
          await search(state, expander({ kubefile, reporter: silentReporter }, lookupIn(state))(instruction.dir), []);
          return state;
        case 'COPY':
        case 'ADD':
        case 'APP':
        case 'CNI':
        case 'CSI':
          break;
        default:
          return execute(instruction);
      }
      const expand = expander({ kubefile, reporter: silentReporter }, lookupIn(state));
      if (instruction.kind === 'ADD') {
        // Its local files are planned; what has to be fetched or unpacked first is left out by itself.
        const far = instruction.sources.map((word) => expand(word)).filter((text) => isRemote(text) || isArchive(text));
        if (far.length > 0) skip(instruction, `${far.join(', ')} not fetched or unpacked; images in it are not seen`);
      } else if (instruction.kind !== 'COPY' && instruction.sources.some((word) => isRemote(expand(word)))) {
        skip(instruction, 'not downloaded; images in it are not seen');
        return state;
      }
      try {
        return await execute(withoutOwner(instruction));
      } catch (error) {
        if (!isSlipwayError(error) || error.code === 'E_INTERRUPTED') throw error;
        skip(instruction, `passed over: ${reason(error.message)}`);
        return state;
      }
    },
    async image(name, platform) {
      try {
        return await imageStage({ store, pull: 'never', registry, reporter }, name, platform);
      } catch (error) {
        if (!isSlipwayError(error, 'E_NOT_FOUND')) throw error;
        unseen.push(
          `${kubefile.file}: the base image ${name} is not in the store for ${formatPlatform(platform)}: what it carries and asks for is not seen; pull it first`,
        );
        return emptyStage(platform);
      }
    },
  };
}

/** Owners of files do not matter here, and names of them would have to be looked up in files that are only planned. */
function withoutOwner(instruction: Instruction): Instruction {
  if (instruction.kind !== 'COPY' && instruction.kind !== 'ADD') return instruction;
  const { chown: _, ...rest } = instruction;
  return rest;
}

function isRemote(source: string): boolean {
  return /^(?!local:)[a-z][a-z0-9+.-]*:\/\//i.test(source) || parseGitSource(source) !== undefined;
}

function isArchive(source: string): boolean {
  return /\.(?:tar(?:\.\w+)?|tgz|txz|tbz2?|tzst)$/i.test(source);
}

/** The message of an error of an instruction without its place and the excerpt of the Kubefile. */
function reason(message: string): string {
  return (message.split('\n', 1)[0] ?? '').replace(/^\S+:\d+:\d+: /, '');
}

function withOrigin(place: SurveyedPlace, rootfs: readonly Rootfs[], context: string): SurveyedPlace {
  for (const one of rootfs) {
    const file = fileAt(one.tree, place.file);
    const origin = file === undefined ? undefined : originOf(one, file);
    const inContext = origin === undefined ? undefined : relative(context, origin);
    if (inContext !== undefined && inContext !== place.file) return { ...place, origin: inContext };
  }
  return place;
}

function staleLock(lock: ImageLock, missing: WantedImages['images'], platform: Platform): string[] {
  if (!lock.active) return [];
  const absent = missing.filter(({ name }) => lock.digest(name, platform) === undefined).map(({ name }) => name);
  if (absent.length === 0) return [];
  return [`${lock.file} does not have ${absent.join(', ')} for ${formatPlatform(platform)}: a build would fail`];
}
