import { SlipwayError } from '../../base/errors.js';
import { joinPath, nameOf } from '../../layers/layer-names.js';
import type { ImageView, PlacedEntry } from './image-view.js';
import type { Pick } from './pick.js';
import type { SourceEntry } from './source-tree.js';

/** What COPY's flags change in the entries it makes. */
export interface Changes {
  /** `--chown`. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** `--chmod`: the new permission bits of a file or directory. */
  readonly mode?: (mode: number, isDirectory: boolean) => number;
  /** `--exclude`: asked with the path below the destination. */
  readonly excludes?: (path: string) => boolean;
  /** Seconds: of entries that have no time of their own. */
  readonly time: number;
}

/**
 * Puts what was picked under the destination.
 * @param target path in the image. @param isDirectory whether files come into it under their own names.
 * @param check whether to look at what the image has at the place of an entry.
 * @throws SlipwayError E_COPY: file over directory, directory over file, a socket.
 */
export function placePick(
  view: ImageView,
  pick: Pick,
  { target, isDirectory }: { readonly target: string; readonly isDirectory: boolean },
  changes: Changes,
): void {
  const { tree, entry, contents, parents } = pick;
  const above = parents.map(({ path }) => nameOf(path)).join('/');
  const name = nameOf(entry.path);
  // Patterns of --exclude are about the path below the destination, whatever it is called there.
  const below = contents ? above : joinPath(above, name);
  const to = isDirectory && below !== '' ? joinPath(target, below) : target;
  const put = (from: SourceEntry, relative: string, path: string): void => {
    if (changes.excludes?.(relative) !== true) placeEntry(view, from, path, changes);
  };
  let at = target;
  let shown = '';
  for (const parent of parents) {
    shown = joinPath(shown, nameOf(parent.path));
    at = joinPath(target, shown);
    // As with cp --parents: those that are there already stay as they are.
    if (view.get(at)?.type !== 'dir') put(parent, shown, at);
  }
  if (!contents) put(entry, below, to);
  if (entry.type !== 'dir') return;
  for (const child of tree.walk(entry.path)) {
    const rest = entry.path === '' ? child.path : child.path.slice(entry.path.length + 1);
    put(child, joinPath(below, rest), joinPath(to, rest));
  }
}

function placeEntry(view: ImageView, from: SourceEntry, path: string, changes: Changes): void {
  if (path === '') return; // the root itself keeps its attributes
  const placed = placedEntry(from, path, changes);
  const there = view.get(path);
  if (there !== undefined && (there.type === 'dir') !== (placed.type === 'dir')) {
    const [a, b] = placed.type === 'dir' ? ['directory', 'file or link'] : ['file', 'directory'];
    throw new SlipwayError('E_COPY', `cannot copy the ${a} ${from.path || '.'} over the ${b} /${path} of the image`, {
      hint: 'choose another destination',
    });
  }
  view.place(placed, there);
}

/** The entry that a source becomes. @throws SlipwayError E_COPY for a socket. */
export function placedEntry(from: SourceEntry, path: string, { owner, mode, time }: Changes): PlacedEntry {
  const { type } = from;
  if (type === 'socket') {
    throw new SlipwayError('E_COPY', `${from.path} is a socket, which cannot be in an image`, {
      hint: 'remove it, or hide it with a line in .dockerignore',
    });
  }
  return {
    ...from,
    type,
    path,
    mode: mode === undefined || type === 'symlink' ? from.mode : mode(from.mode, type === 'dir'),
    uid: owner?.uid ?? from.uid,
    gid: owner?.gid ?? from.gid,
    mtime: from.mtime ?? time,
  };
}
