import { isSlipwayError, SlipwayError } from '../base/errors.js';
import type { Digest } from '../image/digest.js';
import type { CopyInstruction } from '../kubefile-parser/ast.js';
import type { PackEntry, TocEntry } from '../layers/toc.js';
import type { StoredLayer } from '../store/layer-store.js';
import { type CopyPlan, planCopy } from './copy-plan.js';
import type { ExpandWord } from './expand.js';
import { type BuildJob, createdTime } from './job.js';
import { makeLayer } from './make-layer.js';
import { instructionDone, type Outcome } from './outcome.js';
import { at } from './place.js';
import { nextKey, type StageState, stageTree } from './stage.js';

/**
 * COPY from the build context. The cache key is the content: names, types, modes, link targets and the sha256 of every file. Files are
 * hashed ahead only when this instruction has run on this parent before; else they are read once, while they are packed.
 */
export async function runCopy(
  job: BuildJob,
  state: StageState,
  instruction: CopyInstruction,
  expand: ExpandWord,
  step: string,
): Promise<Outcome> {
  return at(job, instruction.sources[0]?.position ?? instruction.position, async () => {
    const sources = instruction.sources.map((word) => expand(word));
    const destination = expand(instruction.destination);
    const { dialect } = job.kubefile.directives;
    const base = await stageTree(job.store, state);
    const plan = planWithHint(job, instruction, {
      sources,
      destination,
      workdir: state.workdir,
      context: job.context,
      base,
      dialect,
    });
    for (const warning of plan.warnings) job.reporter.warn(`${instruction.source}: ${warning}`);

    const scope = nextKey(
      state.key,
      'COPY',
      dialect,
      state.workdir,
      sources,
      destination,
      job.compression,
      job.compressionLevel,
      job.epoch,
    );
    if (job.useCache && (await job.cache.knows(scope))) {
      const key = nextKey(scope, await hashAhead(job, plan));
      const record = await job.cache.get(scope, key);
      if (record !== undefined)
        return instructionDone(state, instruction, record.layers, key, { cached: true, created: record.created });
    }
    const created = createdTime(job);
    let layers: readonly StoredLayer[] = [];
    let contents = new Map<string, Digest>();
    if (plan.entries.length > 0) {
      const { layer, packed } = await makeLayer(job, plan.entries, { title: `${step} layer` });
      layers = [layer];
      contents = new Map(
        packed.toc.entries.flatMap(({ path, digest }) => (digest === undefined ? [] : [[path, digest]])),
      );
      remember(job, plan, contents);
    }
    const key = nextKey(
      scope,
      contentKey(plan.entries, (entry) => contents.get(entry.path)),
    );
    await job.cache.put(scope, key, { layers, created });
    return instructionDone(state, instruction, layers, key, { cached: false, created });
  });
}

/** The content key made from digests that are remembered, or computed now. */
async function hashAhead({ digests }: BuildJob, { entries, stats }: CopyPlan): Promise<unknown> {
  const contents = new Map<string, Digest>();
  for (const { path, content } of entries) {
    if (content === undefined || !('file' in content)) continue;
    const found = stats.get(content.file);
    if (found !== undefined) contents.set(path, await digests.digest(content.file, found));
  }
  return contentKey(entries, (entry) => contents.get(entry.path));
}

/** Everything of the entries that makes a difference: not the times, so that a touched file is no change. */
function contentKey(entries: readonly PackEntry[], digestOfEntry: (entry: PackEntry) => Digest | undefined): unknown {
  return entries.map((entry) => {
    const { path, type, mode, uid, gid, size, linkTarget, xattrs }: Omit<TocEntry, 'offset' | 'mtime'> = entry;
    return [path, type, mode, uid, gid, size, linkTarget, xattrs, digestOfEntry(entry)];
  });
}

function remember({ digests }: BuildJob, { entries, stats }: CopyPlan, contents: ReadonlyMap<string, Digest>): void {
  for (const { path, content } of entries) {
    if (content === undefined || !('file' in content)) continue;
    const found = stats.get(content.file);
    const digest = contents.get(path);
    if (found !== undefined && digest !== undefined) digests.record(content.file, found, digest);
  }
}

/** A source that comes from the platform is missing for another reason than a spelling mistake. */
function planWithHint(
  { platform }: BuildJob,
  { sources }: CopyInstruction,
  request: Parameters<typeof planCopy>[0],
): CopyPlan {
  try {
    return planCopy(request);
  } catch (error) {
    const arch = sources.find(({ raw }) => /\$\{?(?:TARGET)?ARCH\b/.test(raw));
    if (!isSlipwayError(error, 'E_COPY') || error.hint !== undefined || arch === undefined) throw error;
    throw new SlipwayError('E_COPY', error.message, {
      hint: `${arch.raw} is what belongs to ${platform.architecture}: fetch it first (the base images have a fetch.sh), or build for a --platform that is there`,
      cause: error,
    });
  }
}
