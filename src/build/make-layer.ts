import type { Compression } from '../image/media-types.js';
import { type PackedLayer, packLayer } from '../layers/pack.js';
import type { PackEntry } from '../layers/toc.js';
import { adoptLayer, type StoredLayer } from '../store/layer-store.js';
import type { BuildJob } from './job.js';
import { planLayer } from './planned-layers.js';

export interface MadeLayer {
  readonly layer: StoredLayer;
  readonly packed: PackedLayer;
}

/** Packs entries straight into a blob of the store: content is read once and hashed once. */
export function makeLayer(
  job: BuildJob,
  entries: readonly PackEntry[],
  options: { readonly title: string; readonly compression?: Compression },
): Promise<MadeLayer> {
  if (job.dryRun !== undefined) return planned(entries);
  return job.heavy(() => packInto(job, entries, options));
}

async function planned(entries: readonly PackEntry[]): Promise<MadeLayer> {
  const { layer, toc } = planLayer(
    entries.map(({ content, ...entry }) =>
      content !== undefined && 'bytes' in content
        ? { ...entry, content: { in: 'memory', bytes: content.bytes } }
        : entry,
    ),
  );
  return { layer, packed: { ...layer.descriptor, toc } };
}

async function packInto(
  { store, epoch, compression, compressionLevel, reporter, signal, onLayer }: BuildJob,
  entries: readonly PackEntry[],
  options: { readonly title: string; readonly compression?: Compression },
): Promise<MadeLayer> {
  const file = await store.temp.path('layer');
  const chosen = options.compression ?? compression;
  const task = reporter.task(
    options.title,
    entries.reduce((sum, { size }) => sum + size, 0),
  );
  try {
    const packed = await packLayer(entries, file, {
      compression: chosen,
      ...(compressionLevel === undefined || options.compression !== undefined ? {} : { level: compressionLevel }),
      ...(epoch === undefined ? {} : { mtimeClamp: epoch }),
      progress: (bytes) => task.advance(bytes),
      signal,
    });
    const layer = await adoptLayer(store, file, packed);
    task.done();
    onLayer?.(layer);
    return { layer, packed };
  } catch (error) {
    task.fail();
    throw error;
  }
}
