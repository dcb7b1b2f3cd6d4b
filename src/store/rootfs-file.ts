import { SlipwayError } from '../base/errors.js';
import { compressionOf } from '../image/media-types.js';
import { decompress } from '../layers/decompress.js';
import { mergeTocs } from '../layers/merge.js';
import { layersOf, readTocs, type StoredLayer } from './layer-store.js';
import type { LocalImage } from './local-image.js';
import type { Store } from './store.js';

/**
 * Reads a small file of an image's merged rootfs, links followed inside it, without unpacking anything.
 * @param path relative to the root, as in a table of contents.
 * @returns undefined when there is no such file. @throws SlipwayError E_UNSUPPORTED when it is larger than `limit` bytes.
 */
export async function readRootfsFile(
  store: Store,
  image: Pick<LocalImage, 'manifest' | 'config'>,
  path: string,
  limit: number,
): Promise<Buffer | undefined> {
  const tree = mergeTocs(await readTocs(store, image));
  const source = tree.resolve(path).found?.source;
  if (source === undefined) return undefined;
  const layer = layersOf(image)[source.layer];
  return layer === undefined ? undefined : readLayerFile(store, layer, source.entry, limit);
}

/** The content of a file of a layer: `offset` and `size` of its entry in the layer's table of contents. */
export async function readLayerFile(
  store: Store,
  { descriptor }: StoredLayer,
  { offset, size, path }: { readonly offset: number; readonly size: number; readonly path: string },
  limit: number,
): Promise<Buffer> {
  if (size > limit) throw new SlipwayError('E_UNSUPPORTED', `${path} has ${size} bytes, at most ${limit} are read`);
  const pieces: Buffer[] = [];
  let position = 0;
  for await (const chunk of decompress(
    store.openBlob(descriptor.digest),
    compressionOf(descriptor.mediaType) ?? 'none',
  )) {
    const from = Math.max(0, offset - position);
    const to = Math.min(chunk.length, offset + size - position);
    if (from < to) pieces.push(Buffer.from(chunk.subarray(from, to)));
    position += chunk.length;
    if (position >= offset + size) break;
  }
  return Buffer.concat(pieces);
}

/** Something whose content is in a layer. */
export interface LayerFile {
  readonly entry: { readonly offset: number; readonly size: number };
}

/**
 * Reads several small files of a layer in one pass over it, in the order of their offsets. Each is in memory whole: leave out those that are too
 * large before. Several items may share one content.
 */
export async function* readLayerFiles<Item extends LayerFile>(
  store: Store,
  { descriptor }: StoredLayer,
  items: readonly Item[],
): AsyncGenerator<{ readonly item: Item; readonly bytes: Buffer }> {
  const todo = [...items].sort((a, b) => b.entry.offset - a.entry.offset);
  const take = function* (): Generator<{ item: Item; bytes: Buffer }> {
    for (let item = todo.at(-1); item !== undefined && item.entry.size === 0; item = todo.at(-1)) {
      todo.pop();
      yield { item, bytes: Buffer.alloc(0) };
    }
  };
  yield* take();
  if (todo.length === 0) return;
  let position = 0;
  let pieces: Buffer[] = [];
  const compression = compressionOf(descriptor.mediaType) ?? 'none';
  for await (const chunk of decompress(store.openBlob(descriptor.digest), compression)) {
    for (let item = todo.at(-1); item !== undefined; item = todo.at(-1)) {
      const { offset, size } = item.entry;
      const from = Math.max(0, offset - position);
      const to = Math.min(chunk.length, offset + size - position);
      if (from < to) pieces.push(Buffer.from(chunk.subarray(from, to)));
      if (position + chunk.length < offset + size) break;
      const bytes = Buffer.concat(pieces);
      pieces = [];
      todo.pop();
      yield { item, bytes };
      // Hard links and links to one file share its content.
      for (let twin = todo.at(-1); twin?.entry.offset === offset && twin.entry.size === size; twin = todo.at(-1)) {
        todo.pop();
        yield { item: twin, bytes };
      }
      yield* take();
    }
    position += chunk.length;
    if (todo.length === 0) break;
  }
}
