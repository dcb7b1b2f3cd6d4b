import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import type { MergedEntry, MergedTree } from '../../layers/merge.js';
import type { StoredLayer } from '../../store/layer-store.js';
import { plannedLayer } from '../planned-layers.js';
import type { SourceContent, SourceEntry, SourceTree } from './source-tree.js';

/**
 * A finished stage or an image as a source of COPY, known from the tables of contents of its layers: names, owners, times and digests need
 * no reading. `..` stops at the root, as in a container.
 * @param layers those that `tree` was merged from. @param what for messages: `stage build`.
 */
export function stageSource(tree: MergedTree, layers: readonly StoredLayer[], what: string): SourceTree {
  const shown = (path: string, { entry, source }: MergedEntry): SourceEntry => {
    const { type, mode, uid, gid, mtime, linkTarget, xattrs, devMajor, devMinor } = entry;
    const layer = source && layers[source.layer];
    if (source !== undefined && layer !== undefined) {
      const { size, digest, offset } = source.entry;
      // A layer that is only planned has its files where the plan takes them from, and no digests.
      const content: SourceContent = plannedLayer(layer)?.entries[offset]?.content ?? { in: 'layer', layer, offset };
      const inode = `${source.layer}/${offset}/${source.entry.path}`;
      const file = { path, type: 'file' as const, mode, uid, gid, mtime, size, inode, content };
      return { ...file, ...(digest === undefined ? {} : { digest }), ...(xattrs === undefined ? {} : { xattrs }) };
    }
    const common = { path, mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
    return {
      ...common,
      type: type as SourceEntry['type'],
      size: 0,
      ...(linkTarget === undefined ? {} : { linkTarget }),
      ...(devMajor === undefined ? {} : { devMajor }),
      ...(devMinor === undefined ? {} : { devMinor }),
    };
  };
  const find = (path: string): SourceEntry | undefined => {
    const found = tree.resolve(path).found;
    return found === undefined ? undefined : shown(path, found);
  };

  const last = (path: string): MergedEntry | undefined =>
    tree.get(joinPath(tree.resolve(parentOf(path)).path, nameOf(path)));

  return {
    what,
    find,
    isLink: (path) => last(path)?.entry.type === 'symlink',
    findMatch(path) {
      try {
        const found = find(path);
        if (found !== undefined) return found;
      } catch {
        // links in a circle: the entry itself
      }
      const link = last(path);
      return link === undefined ? undefined : shown(path, link);
    },
    names: (dir) => tree.children(tree.resolve(dir).path).map(({ entry }) => nameOf(entry.path)),
    *walk(dir) {
      const todo = [{ path: dir, real: tree.resolve(dir).path }];
      for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
        const { path, real } = next;
        for (const child of tree.children(real)) {
          const below = joinPath(path, nameOf(child.entry.path));
          yield shown(below, child);
          if (child.entry.type === 'dir') todo.push({ path: below, real: child.entry.path });
        }
      }
    },
  };
}
