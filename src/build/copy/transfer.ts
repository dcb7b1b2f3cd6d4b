import { type Digest, digestOf } from '../../image/digest.js';
import type { AddInstruction, AppInstruction, CopyInstruction } from '../../kubefile-parser/ast.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { BuildJob } from '../job.js';
import { createdTime } from '../job.js';
import { makeLayer } from '../make-layer.js';
import { instructionDone, type Outcome } from '../outcome.js';
import { planLayer } from '../planned-layers.js';
import { nextKey, type StageState } from '../stages/stage.js';
import { identityOf, identityOfPacked, packedDigests, withContents } from './contents.js';
import type { PlannedEntry } from './image-view.js';

/** Changes when what COPY makes of the same facts changes. */
const LINEAGE = digestOf('COPY and ADD 1');

/** What a COPY, ADD or APP does, as far as it is known without reading content. */
export interface Transfer {
  readonly instruction: CopyInstruction | AddInstruction | AppInstruction;
  /** Everything of the instruction that makes a difference, expanded. */
  readonly facts: readonly unknown[];
  /** The result does not depend on the layers below (`--link`). */
  readonly link: boolean;
  /** The entries of the layer; without those of archives, downloads and checkouts, which have still to be read. */
  readonly planned: readonly PlannedEntry[];
  /** Identities of what has still to be read. Called only when the cache may know the answer. */
  readonly rest?: () => Promise<readonly unknown[]>;
  /** Reads the rest and runs `work` with all entries, and the identities of the rest as they turned out to be. */
  readonly complete?: (
    work: (planned: readonly PlannedEntry[], rest: readonly unknown[]) => Promise<Outcome>,
  ) => Promise<Outcome>;
}

/**
 * Makes the layer of a COPY or ADD, or takes it from the cache. The key is the content: names, types, modes, owners, link targets and the
 * sha256 of every file, upon the layers below. Files are hashed ahead only when such an instruction has run upon these layers before; else
 * they are read once, while they are packed.
 */
export async function runTransfer(
  job: BuildJob,
  state: StageState,
  transfer: Transfer,
  step: string,
): Promise<Outcome> {
  const { instruction, link } = transfer;
  if (job.dryRun !== undefined) {
    const { layer } = planLayer(transfer.planned);
    const facts = { cached: false, created: createdTime(job) };
    return instructionDone(state, instruction, [layer], nextKey(state.key, layer.diffId), facts);
  }
  // Variables and settings that are not used here are no part of the key: only what is in the image counts.
  const below = link ? [] : state.layers.map(({ diffId }) => diffId);
  const scope = nextKey(
    LINEAGE,
    instruction.kind,
    below,
    transfer.facts,
    job.compression,
    job.compressionLevel,
    job.epoch,
  );
  const chain = (key: Digest): Digest => (link ? nextKey(state.key, key) : key);

  if (job.useCache && (await job.cache.knows(scope))) {
    const key = nextKey(scope, await identityOf(job, transfer.planned), (await transfer.rest?.()) ?? []);
    const record = await job.cache.get(scope, key);
    if (record !== undefined)
      return instructionDone(state, instruction, record.layers, chain(key), { cached: true, created: record.created });
  }
  const created = createdTime(job);
  const complete: NonNullable<Transfer['complete']> = transfer.complete ?? ((work) => work(transfer.planned, []));
  return complete(async (planned, rest) => {
    let layers: readonly StoredLayer[] = [];
    let digests = new Map<string, Digest>();
    if (planned.length > 0) {
      const { layer, packed } = await withContents(job, planned, (entries) =>
        makeLayer(job, entries, { title: `${step} layer` }),
      );
      layers = [layer];
      digests = packedDigests(planned, packed);
      remember(job, planned, digests);
    }
    const key = nextKey(scope, identityOfPacked(transfer.planned, digests), rest);
    await job.cache.put(scope, key, { layers, created });
    return instructionDone(state, instruction, layers, chain(key), { cached: false, created });
  });
}

function remember({ digests }: BuildJob, planned: readonly PlannedEntry[], found: ReadonlyMap<string, Digest>): void {
  for (const { path, content } of planned) {
    const digest = found.get(path);
    if (content?.in === 'directory' && digest !== undefined) digests.record(content.file, content.stats, digest);
  }
}
