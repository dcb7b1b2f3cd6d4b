import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { type Digest, digestOf, sha256Digest } from '../../image/digest.js';
import type { PackedLayer } from '../../layers/pack.js';
import type { FileStamp } from '../../layers/read-unchanged.js';
import type { FileContent, PackEntry } from '../../layers/toc.js';
import { type LayerFile, layerFiles } from '../../store/layer-files.js';
import type { StoredLayer } from '../../store/layer-store.js';
import type { BuildJob } from '../job.js';
import type { PlannedEntry } from './image-view.js';

/** The sha256 of a file's content when it is known or remembered. */
function knownDigest({ digests }: Pick<BuildJob, 'digests'>, { content, digest }: PlannedEntry): Digest | undefined {
  if (digest !== undefined) return digest;
  if (content?.in === 'directory') return digests.lookup(content.file, content.stats);
  return content?.in === 'memory' ? digestOf(content.bytes) : undefined;
}

/**
 * The identity of planned entries with their contents: those that nobody remembers are read.
 * @throws SlipwayError E_FILE_CHANGED, E_PERMISSION.
 */
export async function identityOf(
  job: Pick<BuildJob, 'digests' | 'signal'>,
  entries: readonly PlannedEntry[],
): Promise<Digest> {
  const hash = createHash('sha256');
  for (const entry of entries) {
    let digest = knownDigest(job, entry);
    if (digest === undefined && entry.content !== undefined) {
      job.signal.throwIfAborted();
      if (entry.content.in !== 'directory')
        throw new SlipwayError('E_INTERNAL', `nobody knows the digest of ${entry.path}`);
      digest = await job.digests.digest(entry.content.file, entry.content.stats);
    }
    hash.update(entryFacts(entry, digest));
  }
  return sha256Digest(hash.digest('hex'));
}

/** {@link identityOf} for entries that have been packed: by path, the digests that packing found. */
export function identityOfPacked(entries: readonly PlannedEntry[], packed: ReadonlyMap<string, Digest>): Digest {
  const hash = createHash('sha256');
  for (const entry of entries)
    hash.update(entryFacts(entry, entry.content === undefined ? undefined : packed.get(entry.path)));
  return sha256Digest(hash.digest('hex'));
}

/** Everything of an entry that makes a difference, as one line. */
function entryFacts(entry: PlannedEntry, digest: Digest | undefined): string {
  const { path, type, mode, uid, gid, size, mtime, linkTarget, xattrs, devMajor, devMinor } = entry;
  return `${JSON.stringify([path, type, mode, uid, gid, size, mtime, linkTarget, xattrs, devMajor, devMinor, digest])}\n`;
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

function directoryContent({ file, stats }: { readonly file: string; readonly stats: FileStamp }): FileContent {
  const { dev, ino, mtimeMs, ctimeMs } = stats;
  return { file, mtimeMs, identity: { dev, ino, ctimeMs } };
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
