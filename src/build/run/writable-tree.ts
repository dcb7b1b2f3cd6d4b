import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSlipwayError } from '../../base/errors.js';
import { canOwn } from '../../base/id-map.js';
import type { Reporter } from '../../base/reporter.js';
import type { MergedTree } from '../../layers/merge.js';
import { mountLayers } from '../../layers/mount-layers.js';
import { unmount } from '../../layers/overlay.js';
import type { PackEntry } from '../../layers/toc.js';
import { snapshotTree, treeChanges } from '../../layers/tree-changes.js';
import { upperEntries } from '../../layers/upper.js';
import { type StoredLayer, unpackedLayers, unpackMerged } from '../../store/layer-store.js';
import type { Store } from '../../store/store.js';

/** Layers merged in a directory that may be written to, while what is written stays apart from the layers. */
export interface WritableTree {
  readonly dir: string;
  /** The time before anything could be changed, by the clock of the file system: whole seconds since the epoch, rounded down. */
  readonly since: number;
  /** What was changed, as the entries of a layer. Nothing may be running in the tree any more. */
  changes(): Promise<PackEntry[]>;
  /** Unmounts it; the caller removes `home`. */
  release(): Promise<void>;
}

let warned = false;

/**
 * Shows layers merged, by overlayfs. Where the kernel does not allow that (it lies on another overlay, a user namespace before Linux
 * 5.11, more layers than it takes) they are unpacked upon each other, which is slower and gives the same.
 * @param home an empty directory, closed to other users. @param tree of the layers.
 * @throws SlipwayError E_NO_SPACE, E_PERMISSION, E_MISSING_PROGRAM, whatever unpacking throws
 */
export async function openWritableTree(
  { store, reporter }: { readonly store: Store; readonly reporter: Reporter },
  layers: readonly StoredLayer[],
  tree: MergedTree,
  home: string,
): Promise<WritableTree> {
  const dir = join(home, 'rootfs');
  await mkdir(dir);
  try {
    return await overlay(store, layers, tree, home, dir, reporter);
  } catch (error) {
    if (!isSlipwayError(error, 'E_MOUNT', 'E_PERMISSION', 'E_UNSUPPORTED')) throw error;
    if (!warned) reporter.warn(`the layers are unpacked anew for every RUN, which is slow: ${error.message}`);
    warned = true;
    return await copy(store, layers, tree, dir, reporter);
  }
}

async function overlay(
  store: Store,
  layers: readonly StoredLayer[],
  tree: MergedTree,
  home: string,
  dir: string,
  reporter: Reporter,
): Promise<WritableTree> {
  const unpacked = await unpackedLayers(store, layers, { debug: reporter.debug });
  const inside = (name: string): string => join(home, name);
  for (const name of ['upper', 'work', 'links']) await mkdir(inside(name));
  const upper = inside('upper');
  const since = await dressRoot(upper, tree);
  await mountLayers({
    layers: unpacked,
    beside: inside('beside'),
    upper,
    work: inside('work'),
    target: dir,
    scratch: inside('links'),
  });
  return {
    dir,
    since,
    changes: () => upperEntries(upper, tree),
    release: () => unmount(dir),
  };
}

async function copy(
  store: Store,
  layers: readonly StoredLayer[],
  tree: MergedTree,
  dir: string,
  reporter: Reporter,
): Promise<WritableTree> {
  await unpackMerged(store, layers, dir, { debug: reporter.debug });
  const since = await dressRoot(dir, tree);
  const before = snapshotTree(dir);
  return { dir, since, changes: () => treeChanges(dir, before, tree), release: async () => {} };
}

/** Gives the root directory what the layers say, whatever the umask of the process is. @returns the time, in seconds. */
async function dressRoot(dir: string, tree: MergedTree): Promise<number> {
  const { mode = 0o755, uid = 0, gid = 0 } = tree.get('')?.entry ?? {};
  if (process.getuid?.() === 0 && canOwn(uid, gid)) await chown(dir, uid, gid);
  await chmod(dir, mode);
  return Math.floor((await stat(dir)).ctimeMs / 1000);
}
