import { open } from 'node:fs/promises';
import type { MergedEntry, MergedTree } from '../../layers/merge.js';
import { fsPath } from '../../layers/path-bytes.js';
import type { TocEntry } from '../../layers/toc.js';
import type { StoredLayer } from '../../store/layer-store.js';
import { readLayerFile, readLayerFiles } from '../../store/rootfs-file.js';
import type { Store } from '../../store/store.js';
import { type PlannedLayer, plannedLayer } from '../planned-layers.js';

/** A merged rootfs whose files can be read, whether its layers are packed or only planned. */
export interface Rootfs {
  readonly tree: MergedTree;
  readonly layers: readonly StoredLayer[];
}

/** A regular file of the rootfs: its own path, and where its content is (links followed). */
export interface RootfsFile {
  readonly path: string;
  readonly size: number;
  readonly layer: number;
  readonly entry: TocEntry;
}

/** Every regular file below a directory of the rootfs, sorted; links to files are followed inside the rootfs, links to directories are not. */
export function* filesBelow(tree: MergedTree, dir: string): Generator<RootfsFile> {
  const start = resolveQuietly(tree, dir);
  if (start?.entry.type !== 'dir') return;
  yield* below(tree, start.entry.path, dir);
}

function* below(tree: MergedTree, real: string, shown: string): Generator<RootfsFile> {
  for (const child of tree.children(real)) {
    const name = child.entry.path.slice(real === '' ? 0 : real.length + 1);
    const path = shown === '' ? name : `${shown}/${name}`;
    if (child.entry.type === 'dir') yield* below(tree, child.entry.path, path);
    else {
      const file = regularFile(tree, child, path);
      if (file !== undefined) yield file;
    }
  }
}

/** The regular file at a path, links followed; undefined for anything else. */
export function fileAt(tree: MergedTree, path: string): RootfsFile | undefined {
  const found = resolveQuietly(tree, path);
  return found === undefined ? undefined : regularFile(tree, found, path);
}

/** The names directly in a directory, links to it followed. */
export function namesIn(tree: MergedTree, dir: string): string[] {
  const start = resolveQuietly(tree, dir);
  if (start?.entry.type !== 'dir') return [];
  const { path } = start.entry;
  return tree.children(path).map(({ entry }) => entry.path.slice(path === '' ? 0 : path.length + 1));
}

function regularFile(tree: MergedTree, found: MergedEntry, path: string): RootfsFile | undefined {
  const source = found.entry.type === 'symlink' ? resolveQuietly(tree, found.entry.path)?.source : found.source;
  if (source === undefined) return undefined;
  return { path, size: source.entry.size, layer: source.layer, entry: source.entry };
}

/** A circle of links leads nowhere. */
function resolveQuietly(tree: MergedTree, path: string): MergedEntry | undefined {
  try {
    return tree.resolve(path).found;
  } catch {
    return undefined;
  }
}

/** Reads files, each layer once and from front to back, one file at a time; the order is that of the layers. */
export async function* readRootfsFiles(
  store: Store,
  { layers }: Pick<Rootfs, 'layers'>,
  files: readonly RootfsFile[],
): AsyncGenerator<{ readonly file: RootfsFile; readonly bytes: Buffer }> {
  const byLayer = new Map<number, RootfsFile[]>();
  for (const file of files) {
    const list = byLayer.get(file.layer);
    if (list === undefined) byLayer.set(file.layer, [file]);
    else list.push(file);
  }
  for (const [index, wanted] of [...byLayer].sort(([a], [b]) => a - b)) {
    const layer = layers[index];
    if (layer === undefined) continue;
    const plan = plannedLayer(layer);
    if (plan === undefined) {
      for await (const { item, bytes } of readLayerFiles(store, layer, wanted)) yield { file: item, bytes };
      continue;
    }
    for (const file of wanted) yield { file, bytes: await readPlanned(store, plan, file.entry) };
  }
}

/** The content of a file of a layer that is only planned: it is where it will be taken from. */
async function readPlanned(
  store: Store,
  { entries }: PlannedLayer,
  { path, offset, size }: Pick<TocEntry, 'path' | 'offset' | 'size'>,
): Promise<Buffer> {
  const content = entries[offset]?.content;
  switch (content?.in) {
    case 'memory':
      return Buffer.from(content.bytes);
    case 'directory':
      return readUpTo(content.file, 0, size);
    case 'file':
      return readUpTo(content.file, content.start, size);
    case 'layer': {
      const from = { path, offset: content.offset, size };
      const plan = plannedLayer(content.layer);
      return plan === undefined ? readLayerFile(store, content.layer, from, size) : readPlanned(store, plan, from);
    }
    default:
      return Buffer.alloc(0);
  }
}

/** Where a file of a planned layer is on this machine; undefined for anything else. */
export function originOf({ layers }: Pick<Rootfs, 'layers'>, { layer, entry }: RootfsFile): string | undefined {
  const at = layers[layer];
  const content = at === undefined ? undefined : plannedLayer(at)?.entries[entry.offset]?.content;
  return content?.in === 'directory' ? content.file : undefined;
}

/** A file of this machine that may have changed since it was measured: never more than was expected is read. */
async function readUpTo(file: string, start: number, size: number): Promise<Buffer> {
  const handle = await open(fsPath(file), 'r');
  try {
    const bytes = Buffer.alloc(size);
    let read = 0;
    while (read < size) {
      const { bytesRead } = await handle.read(bytes, read, size - read, start + read);
      if (bytesRead === 0) break;
      read += bytesRead;
    }
    return bytes.subarray(0, read);
  } finally {
    await handle.close();
  }
}
