import type { Reporter } from '../base/reporter.js';
import type { Slots } from '../base/slots.js';
import type { Compression } from '../image/media-types.js';
import type { Platform } from '../image/platform.js';
import type { Kubefile } from '../kubefile-parser/ast.js';
import type { RegistryOptions } from '../registry/options.js';
import type { StoredLayer } from '../store/layer-store.js';
import type { Store } from '../store/store.js';
import type { InstructionCache } from './cache/instruction-cache.js';
import type { ImageCollection } from './collect/collection.js';
import type { ImageLock } from './collect/image-lock.js';
import type { BuildContext } from './context/context.js';
import type { FileDigests } from './context/file-digests.js';
import type { DryRun } from './dry-run.js';
import type { StageState } from './stages/stage.js';
import type { StageSource } from './stages/stage-graph.js';

/** What the build for one platform works with: the same for all its instructions. */
export interface BuildJob {
  readonly store: Store;
  readonly kubefile: Kubefile;
  readonly context: BuildContext;
  readonly digests: FileDigests;
  readonly cache: InstructionCache;
  /** Finished stages, and images that `--from=` names. */
  readonly stages: StageSource<StageState>;
  /** Packing and commands, which keep a core busy each, take their turns here: stages run at the same time. */
  readonly heavy: Slots;
  /** False with `--no-cache`: nothing is taken from the cache, what is made is put there all the same. */
  readonly useCache: boolean;
  readonly platform: Platform;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly pull: 'missing' | 'always' | 'never';
  readonly isolation: 'auto' | 'host' | 'container';
  readonly network: 'host' | 'none';
  /** What `RUN --mount=type=secret` may ask for, by id. */
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  /** No RUN may take longer, in milliseconds. */
  readonly runTimeoutMs: number | undefined;
  readonly registry: RegistryOptions;
  readonly images: ImageCollection;
  /** Of the build context, for all platforms. */
  readonly lock: ImageLock;
  readonly compression: Compression;
  readonly compressionLevel: number | undefined;
  /** SOURCE_DATE_EPOCH in seconds: no time in the image is later. */
  readonly epoch: number | undefined;
  readonly reporter: Reporter;
  /** Told of each layer that is made for the image itself, not for a stage that it only copies from. */
  readonly onLayer?: ((layer: StoredLayer) => void) | undefined;
  /** Only plan. */
  readonly dryRun?: DryRun;
  /** Also aborted when another stage of the build has failed. */
  readonly signal: AbortSignal;
}

/** RFC 3339 time for `created` fields: now, or SOURCE_DATE_EPOCH when that is given. */
export function createdTime({ epoch }: Pick<BuildJob, 'epoch'>): string {
  return new Date(epoch === undefined ? Date.now() : epoch * 1000).toISOString().replace(/\.000Z$/, 'Z');
}
