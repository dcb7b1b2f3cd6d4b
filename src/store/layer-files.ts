import { type FileHandle, open } from 'node:fs/promises';
import { fileSystemError, SlipwayError } from '../base/errors.js';
import { compressionOf } from '../image/media-types.js';
import { decompress } from '../layers/decompress.js';
import type { FileContent } from '../layers/toc.js';
import type { StoredLayer } from './layer-store.js';
import type { Store } from './store.js';

/** Where the content of a file is in the tar of its layer, as the table of contents says. */
export interface LayerFile {
  readonly offset: number;
  readonly size: number;
}

/**
 * Makes the contents of some files of a layer readable, without unpacking it. Of a blob that is not compressed they are read where they
 * are; else the blob is decompressed once, up to the last of them, and they are put one behind the other into one file.
 * Nothing is verified here: compare the digest of what is read with the table of contents.
 *
 * @param spool a file that may be made, for the caller to remove. @param signal ends the reading.
 * @returns where each content is, by its offset. @throws SlipwayError E_BAD_ARCHIVE when the blob ends too early, E_NO_SPACE.
 */
export async function layerFiles(
  store: Store,
  { descriptor }: StoredLayer,
  files: Iterable<LayerFile>,
  spool: string,
  signal: AbortSignal,
): Promise<Map<number, FileContent>> {
  const sizes = new Map<number, number>();
  for (const { offset, size } of files) sizes.set(offset, Math.max(size, sizes.get(offset) ?? 0));
  const wanted = [...sizes].filter(([, size]) => size > 0).sort(([a], [b]) => a - b);
  const compression = compressionOf(descriptor.mediaType) ?? 'none';
  if (compression === 'none') {
    const file = store.blobPath(descriptor.digest);
    return new Map(wanted.map(([offset]) => [offset, { file, start: offset }]));
  }
  const found = new Map<number, FileContent>();
  let written = 0;
  for (const [offset, size] of wanted) {
    found.set(offset, { file: spool, start: written });
    written += size;
  }
  let out: FileHandle | undefined;
  try {
    out = await open(spool, 'wx', 0o600);
    await copyRanges(decompress(store.openBlob(descriptor.digest), compression), wanted, out, signal);
  } catch (error) {
    throw fileSystemError(error, `reading files of layer ${descriptor.digest}`);
  } finally {
    await out?.close();
  }
  return found;
}

/** Writes some ranges of a stream, which do not overlap and are in order, one behind the other. */
async function copyRanges(
  stream: AsyncIterable<Buffer>,
  ranges: readonly (readonly [offset: number, size: number])[],
  out: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  let index = 0;
  let position = 0;
  if (ranges.length === 0) return;
  for await (const chunk of stream) {
    signal.throwIfAborted();
    const end = position + chunk.length;
    for (let range = ranges[index]; range !== undefined && range[0] < end; range = ranges[index]) {
      const [offset, size] = range;
      const from = Math.max(0, offset - position);
      const to = Math.min(chunk.length, offset + size - position);
      for (let at = from; at < to; ) at += (await out.write(chunk, at, to - at)).bytesWritten;
      if (offset + size > end) break;
      index++;
    }
    position = end;
    if (index === ranges.length) return;
  }
  throw new SlipwayError('E_BAD_ARCHIVE', 'a layer ends before a file that its table of contents names', {
    hint: 'the layer in the store is damaged: remove the image and pull it again',
  });
}
