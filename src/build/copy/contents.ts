import { rm } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { type Digest, digestOf } from '../../image/digest.js';
import type { PackedLayer } from '../../layers/pack.js';
import type { FileContent, PackEntry } from '../../layers/toc.js';
import { type LayerFile, layerFiles } from '../../store/layer-files.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { BuildJob } from '../job.js';
import type { PlannedEntry } from './image-view.js';

/** What an entry is apart from its content; two entries with the same facts and digests are the same. */
export function entryFacts(entry: PlannedEntry, digest: Digest | undefined): readonly unknown[] {
  const { path, type, mode, uid, gid, size, mtime, linkTarget, xattrs, devMajor, devMinor } = entry;
  return [path, type, mode, uid, gid, size, mtime, linkTarget, xattrs, devMajor, devMinor, digest];
}

/** The sha256 of each file's content by its path: those that are known or remembered, the others are read. */
export async function contentDigests(
  { digests, signal }: Pick<BuildJob, 'digests' | 'signal'>,
  entries: readonly PlannedEntry[],
): Promise<Map<string, Digest>> {
  const found = new Map<string, Digest>();
  for (const { path, content, digest } of entries) {
    if (content === undefined) continue;
    signal.throwIfAborted();
    if (digest !== undefined) found.set(path, digest);
    else if (content.in === 'directory') found.set(path, await digests.digest(content.file, content.stats));
    else if (content.in === 'memory') found.set(path, digestOf(content.bytes));
    else throw new SlipwayError('E_INTERNAL', `nobody knows the digest of ${path}`);
  }
  return found;
}

/** Makes planned entries ready to be packed while `work` runs: what is in layers of the store is brought out of them. */
export async function withContents<T>(
  { store, signal }: Pick<BuildJob, 'store' | 'signal'>,
  planned: readonly PlannedEntry[],
  work: (entries: readonly PackEntry[]) => Promise<T>,
): Promise<T> {
  const layers = new Map<StoredLayer, LayerFile[]>();
  for (const { content, size } of planned) {
    if (content?.in !== 'layer') continue;
    const files = layers.get(content.layer) ?? [];
    files.push({ offset: content.offset, size });
    layers.set(content.layer, files);
  }
  const places = new Map<StoredLayer, ReadonlyMap<number, FileContent>>();
  const spools: string[] = [];
  try {
    for (const [layer, files] of layers) {
      const spool = await store.temp.path('files');
      spools.push(spool);
      places.set(layer, await layerFiles(store, layer, files, spool, signal));
    }
    return await work(planned.map((entry) => packEntry(entry, places)));
  } finally {
    for (const spool of spools) await rm(spool, { force: true });
  }
}

function packEntry(
  { content, digest: _digest, ...entry }: PlannedEntry,
  places: ReadonlyMap<StoredLayer, ReadonlyMap<number, FileContent>>,
): PackEntry {
  if (content === undefined || entry.size === 0) {
    // An empty file of a directory is opened all the same: it may have grown.
    return content?.in === 'directory' ? { ...entry, content: directoryContent(content) } : entry;
  }
  switch (content.in) {
    case 'directory':
      return { ...entry, content: directoryContent(content) };
    case 'memory':
      return { ...entry, content: { bytes: content.bytes } };
    case 'file':
      return { ...entry, content: { file: content.file, start: content.start } };
    case 'layer': {
      const place = places.get(content.layer)?.get(content.offset);
      if (place === undefined) throw new SlipwayError('E_INTERNAL', `the content of ${entry.path} was not brought out`);
      return { ...entry, content: place };
    }
  }
}

function directoryContent({
  file,
  stats,
}: {
  readonly file: string;
  readonly stats: { readonly mtimeMs: number; readonly dev: number; readonly ino: number };
}): FileContent {
  return { file, mtimeMs: stats.mtimeMs, identity: { dev: stats.dev, ino: stats.ino } };
}

/**
 * The digests that packing found, by path.
 * @throws SlipwayError E_DIGEST_MISMATCH when a content is not what a table of contents, or an earlier reading, says.
 */
export function packedDigests(planned: readonly PlannedEntry[], { toc }: PackedLayer): Map<string, Digest> {
  const found = new Map<string, Digest>();
  for (const { path, digest } of toc.entries) if (digest !== undefined) found.set(path, digest);
  for (const { path, digest, content } of planned) {
    if (digest === undefined || found.get(path) === digest) continue;
    const where = content?.in === 'layer' ? ` in layer ${content.layer.descriptor.digest}` : '';
    throw new SlipwayError('E_DIGEST_MISMATCH', `the content of ${path}${where} is not what it is said to be`, {
      hint: 'the store is damaged: remove the image that it comes from and pull or build it again',
    });
  }
  return found;
}
