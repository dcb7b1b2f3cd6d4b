import { lstatSync } from 'node:fs';
import { type Found, layerChanges } from './layer-changes.js';
import { joinPath, parentOf } from './layer-names.js';
import type { MergedTree } from './merge.js';
import { namesIn } from './names-in.js';
import { fsPath } from './path-bytes.js';
import { scanTree } from './scan.js';
import { comparePaths, type PackEntry } from './toc.js';
import { readXattrs } from './xattrs.js';

/** What every path of a tree was at one moment: anything that is done to it changes the text. */
export type TreeSnapshot = ReadonlyMap<string, string>;

/** Looks at every path of a directory. Nobody can set a change time (ctime), so that no later change goes unseen. */
export function snapshotTree(dir: string): TreeSnapshot {
  const snapshot = new Map<string, string>();
  const todo = [''];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    for (const name of namesIn(at === '' ? dir : `${dir}/${at}`)) {
      const path = joinPath(at, name);
      const stats = lstatSync(fsPath(`${dir}/${path}`), { bigint: true });
      snapshot.set(path, `${stats.ino} ${stats.ctimeNs} ${stats.mtimeNs}`);
      if (stats.isDirectory()) todo.push(path);
    }
  }
  return snapshot;
}

/**
 * What a layer must hold to turn `lower` into what a plain directory has become since the snapshot was taken, when it was just like
 * `lower`; see {@link layerChanges}. It gives what an overlay would give, but for files of
 * several names: here they stay one file when one name is written to, and are all in the layer when one of them is removed. Nothing may be running in the directory any more.
 */
export async function treeChanges(dir: string, before: TreeSnapshot, lower: MergedTree): Promise<PackEntry[]> {
  const entries = await scanTree(dir, { skipSockets: true });
  const now = snapshotTree(dir);
  const kept = new Set<string>();
  const keep = (path: string): void => {
    for (let at = path; at !== '' && !kept.has(at); at = parentOf(at)) kept.add(at);
  };
  for (const [path, state] of now) if (before.get(path) !== state) keep(path);
  const directories = new Set(entries.flatMap(({ path, type }) => (type === 'dir' ? [path] : [])));
  const gone = [...before.keys()].filter(
    (path) => !now.has(path) && (parentOf(path) === '' || directories.has(parentOf(path))),
  );
  for (const path of gone) keep(parentOf(path));
  const changed = entries.filter(({ path }) => kept.has(path));
  const attributes = await readXattrs(
    dir,
    changed.map(({ path }) => path),
  );
  const found: Found[] = [
    ...changed.map((entry, index) => ({
      entry,
      xattrs: attributes[index],
      opaque: false,
      changed: inodeIn(before, entry.path) === inodeIn(now, entry.path),
    })),
    ...gone.map((path) => ({ entry: whiteout(path), xattrs: undefined, opaque: false, changed: false })),
  ];
  return layerChanges(
    found.sort((a, b) => comparePaths(a.entry.path, b.entry.path)),
    lower,
  );
}

function inodeIn(snapshot: TreeSnapshot, path: string): string | undefined {
  return snapshot.get(path)?.split(' ', 1)[0];
}

function whiteout(path: string): PackEntry {
  return { path, type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0 };
}
