import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { fileSystemError, SlipwayError } from '../base/errors.js';
import { type Digest, sha256Digest } from '../image/digest.js';
import { type Compression, layerMediaType } from '../image/media-types.js';
import { type BlockSink, startSink } from './block-sink.js';
import { isReservedName, nameOf } from './layer-names.js';
import { fsPath } from './path-bytes.js';
import { TAR_OUTPUT_BLOCK, tarBlocks } from './tar-blocks.js';
import type { LayerToc, PackEntry, TocEntry } from './toc.js';

export interface PackOptions {
  readonly compression: Compression;
  /** gzip 0 (stored) … 9, zstd 1 … 22. Default: {@link DEFAULT_LEVEL}. */
  readonly level?: number;
  /** No entry gets a later modification time than this, in seconds since the epoch (SOURCE_DATE_EPOCH). */
  readonly mtimeClamp?: number;
  /** Called with the number of uncompressed bytes that have been packed since the last call. */
  readonly progress?: (bytes: number) => void;
  /** Aborting it ends the packing with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface PackedLayer {
  readonly mediaType: string;
  /** Of the compressed bytes in the file. */
  readonly digest: Digest;
  /** Compressed bytes in the file. */
  readonly size: number;
  readonly toc: LayerToc;
}

/**
 * Packs `entries` into the layer file `outFile` in one pass: every content byte is read once, and the sha256 of each file, the diffID and
 * the digest of the blob are made on the way. A few MiB are held at most. The same entries and options give the same bytes.
 *
 * @param entries in the order of the tar: parents before children, a hard link after the file it names, no path twice.
 * @param outFile created or emptied; not fsynced; removed again when packing fails.
 * @throws SlipwayError E_FILE_CHANGED when a file is not what its entry says or is written to meanwhile; E_NO_SPACE; E_PERMISSION;
 * E_UNSUPPORTED for a name that means a whiteout in a layer; E_MISSING_PROGRAM when zstd is asked for and not installed.
 */
export async function packLayer(
  entries: Iterable<PackEntry>,
  outFile: string,
  options: PackOptions,
): Promise<PackedLayer> {
  const doing = `writing the layer ${outFile}`;
  let file: FileHandle;
  try {
    file = await open(fsPath(outFile), 'w', 0o644);
  } catch (error) {
    throw fileSystemError(error, doing);
  }
  try {
    const packed = await packInto(file, entries, options, doing);
    await file.close();
    return packed;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(fsPath(outFile), { force: true }).catch(() => {});
    throw error;
  }
}

async function packInto(
  file: FileHandle,
  entries: Iterable<PackEntry>,
  options: PackOptions,
  doing: string,
): Promise<PackedLayer> {
  const { compression, level, mtimeClamp, progress, signal } = options;
  const toc: TocEntry[] = [];
  const diffId = createHash('sha256');
  const blob = compression === 'none' ? diffId : createHash('sha256');
  let unpackedSize = 0;
  let size = 0;
  const emit = async (bytes: Buffer): Promise<void> => {
    if (blob !== diffId) blob.update(bytes);
    size += bytes.length;
    await writeAll(file, bytes, doing);
  };
  // New memory for each block would cost more than filling it.
  const free: Buffer[] = [];
  const sink: BlockSink = startSink(compression, level, emit, (block) => {
    if (block.length === TAR_OUTPUT_BLOCK) free.push(block);
  });
  try {
    const blocks = tarBlocks(checked(entries), {
      ...(mtimeClamp === undefined ? {} : { mtimeClamp }),
      ...(signal === undefined ? {} : { signal }),
      newBlock: () => free.pop() ?? Buffer.allocUnsafeSlow(TAR_OUTPUT_BLOCK),
      onEntry: (entry) => toc.push(entry),
    });
    for await (const block of blocks) {
      diffId.update(block);
      unpackedSize += block.length;
      await sink.write(block);
      progress?.(block.length);
    }
    await sink.end();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
  const diff = digestOfHash(diffId);
  return {
    mediaType: layerMediaType(compression),
    digest: blob === diffId ? diff : digestOfHash(blob),
    size,
    toc: { diffId: diff, unpackedSize, entries: toc },
  };
}

function digestOfHash(hash: Hash): Digest {
  return sha256Digest(hash.digest('hex'));
}

async function writeAll(file: FileHandle, bytes: Buffer, doing: string): Promise<void> {
  try {
    for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
  } catch (error) {
    throw fileSystemError(error, doing);
  }
}

/** Passes entries on that a layer can hold in this order. */
function* checked(entries: Iterable<PackEntry>): Generator<PackEntry> {
  const seen = new Map<string, boolean>();
  for (const entry of entries) {
    const { type, path } = entry;
    const real = type !== 'whiteout' && type !== 'opaque';
    if (real && isReservedName(nameOf(path))) {
      throw new SlipwayError(
        'E_UNSUPPORTED',
        `cannot put ${path} into a layer: names beginning with .wh. mark deleted files`,
        {
          hint: 'rename it or leave it out',
        },
      );
    }
    const key = real ? path : `${type}\0${path}`;
    if (seen.has(key)) throw disorder(entry, 'its path comes twice');
    if (type === 'hardlink' && seen.get(entry.linkTarget ?? '') !== true) {
      throw disorder(entry, `it links to ${JSON.stringify(entry.linkTarget)}, which is not before it`);
    }
    seen.set(key, real && type !== 'dir');
    yield entry;
  }
}

function disorder({ path }: PackEntry, why: string): SlipwayError {
  return new SlipwayError('E_INTERNAL', `cannot put ${JSON.stringify(path)} into a layer: ${why}`);
}
