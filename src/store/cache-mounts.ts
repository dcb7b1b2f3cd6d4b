import { chmod, mkdir, readdir, rename, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.js';
import { removeTree } from '../base/remove-tree.js';
import { type Digest, hexOf } from '../image/digest.js';
import { type FileLock, type LockMode, tryLock, withLock } from './locks.js';
import type { Store } from './store.js';

/** `shared`: any number at once; `locked`: one after the other; `private`: one of its own for each that is in use at once. */
export type CacheSharing = 'shared' | 'locked' | 'private';

export interface CacheMountOptions {
  /** The name of the cache: a hash, so that no id of a Kubefile is ever a path. */
  readonly key: Digest;
  readonly sharing: CacheSharing;
  /** Fills the directory of a new cache. */
  readonly fill: (dir: string) => Promise<void>;
  readonly signal: AbortSignal;
  /** Called once when somebody else has it and it must be waited for. */
  readonly onWait: () => void;
}

/** A directory that commands of several builds share, in use. */
export interface CacheMount {
  readonly dir: string;
  release(): Promise<void>;
}

/**
 * Takes a cache in use, made when it is new. Locks are the kernel's (flock), so that a killed build holds none.
 * @throws what `fill` throws; the signal's reason; E_NO_SPACE, E_PERMISSION
 */
export async function useCacheMount(store: Store, options: CacheMountOptions): Promise<CacheMount> {
  const { key, sharing } = options;
  const home = await store.directory('cache', 'mounts', hexOf(key));
  // Setuid programs may lie in it: nobody else on this machine may reach them.
  await chmod(join(store.root, 'cache', 'mounts'), 0o700);
  // A prune of what is old asks for this time.
  const now = new Date();
  await utimes(home, now, now);
  for (let slot = 0; ; slot++) {
    const held = await take(join(home, `${slot}.lock`), options);
    if (held === undefined) continue;
    try {
      return { dir: await filled(store, home, slot, options), release: () => held.release() };
    } catch (error) {
      await held.release();
      throw error;
    }
  }
  async function take(file: string, { signal, onWait }: CacheMountOptions): Promise<FileLock | undefined> {
    const mode: LockMode = sharing === 'shared' ? 'shared' : 'exclusive';
    const held = await tryLock(file, mode, { waitSeconds: 0 });
    if (held !== undefined || sharing === 'private') return held;
    onWait();
    for (;;) {
      signal.throwIfAborted();
      const later = await tryLock(file, mode, { waitSeconds: 1 });
      if (later !== undefined) return later;
    }
  }
}

/** The directory of a slot. It is filled under another name, so that a killed build leaves no half of it. */
async function filled(store: Store, home: string, slot: number, { fill }: CacheMountOptions): Promise<string> {
  const dir = join(home, String(slot));
  if (await exists(dir)) return dir;
  return withLock(`${dir}.new.lock`, 'exclusive', 'a cache mount', async () => {
    if (await exists(dir)) return dir;
    const temp = await store.temp.path('cache');
    try {
      await mkdir(temp);
      await fill(temp);
      await rename(temp, dir);
      return dir;
    } catch (error) {
      await removeTree(temp).catch(() => {}); // it is in this process's corner, which goes in the end
      throw error;
    }
  });
}

/** The directories of all caches; {@link useCacheMount} sets their time when one is used. */
export async function cacheMountDirectories(store: Store): Promise<readonly string[]> {
  const home = join(store.root, 'cache', 'mounts');
  try {
    return (await readdir(home)).map((name) => join(home, name));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
