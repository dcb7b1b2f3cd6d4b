import { SlipwayError } from '../../base/errors.js';
import { parentOf } from '../../layers/layer-names.js';
import type { MergedTree } from '../../layers/merge.js';
import { comparePaths } from '../../layers/toc.js';
import { impossiblePath } from '../impossible-path.js';
import type { PlacedEntry, PlannedEntry } from './image-view.js';
import type { Changes } from './place.js';

export interface LayerEntriesOptions {
  /** What is in the image so far. */
  readonly base: MergedTree;
  /** A directory that must be there in the end even if nothing is in it. */
  readonly wanted: string;
  /** Links and files of the image where a directory is needed: `replace` them (`--link`), or `refuse`. */
  readonly obstacles: 'replace' | 'refuse';
  readonly changes: Pick<Changes, 'owner' | 'time'>;
}

/**
 * Makes a layer of what was placed: hard links, every directory above (with the attributes it has in the image, else 0755), in tar order.
 * @throws SlipwayError E_COPY: a file of the image where a directory is needed; a path that no machine could unpack.
 */
export function layerEntries(placed: readonly PlacedEntry[], options: LayerEntriesOptions): PlannedEntry[] {
  const entries = linked(placed);
  const known = new Set(entries.map(({ path }) => path));
  const add = (path: string): void => {
    for (let dir = path; dir !== '' && !known.has(dir); dir = parentOf(dir)) {
      known.add(dir);
      entries.push(directory(dir, options));
    }
  };
  for (const { path } of placed) {
    checkPath(path);
    add(parentOf(path));
  }
  if (options.base.get(options.wanted)?.entry.type !== 'dir') add(options.wanted);
  return entries.sort((a, b) => comparePaths(a.path, b.path));
}

/** Of several paths with one content, the first in tar order is the file and the others are links to it. */
function linked(placed: readonly PlacedEntry[]): PlannedEntry[] {
  const first = new Map<string, string>();
  for (const { inode, path } of placed) {
    if (inode === undefined) continue;
    const earlier = first.get(inode);
    if (earlier === undefined || comparePaths(path, earlier) < 0) first.set(inode, path);
  }
  return placed.map((entry): PlannedEntry => {
    const target = entry.inode === undefined ? undefined : first.get(entry.inode);
    if (target === undefined || target === entry.path) return entry;
    const { inode: _inode, content: _content, digest: _digest, ...attributes } = entry;
    return { ...attributes, type: 'hardlink', size: 0, linkTarget: target };
  });
}

function directory(path: string, { base, obstacles, changes }: LayerEntriesOptions): PlannedEntry {
  const there = base.get(path)?.entry;
  if (there?.type === 'dir') {
    const { mode, uid, gid, mtime, xattrs } = there;
    return { path, type: 'dir', mode, uid, gid, size: 0, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
  }
  if (there !== undefined && obstacles === 'refuse') {
    throw new SlipwayError('E_COPY', `/${path} of the image is not a directory, so nothing can be copied into it`);
  }
  const { owner, time } = changes;
  return { path, type: 'dir', mode: 0o755, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0, size: 0, mtime: time };
}

function checkPath(path: string): void {
  const why = impossiblePath(path);
  if (why === undefined) return;
  throw new SlipwayError('E_COPY', why, {
    hint: 'leave it out with a line in the ignore file, or copy it to a shorter path',
  });
}
