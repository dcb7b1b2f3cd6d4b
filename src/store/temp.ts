import { randomBytes } from 'node:crypto';
import { readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError, isSlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { removeTree } from '../base/remove-tree.js';
import { mountPointsBelow } from '../layers/mount-table.js';
import { unmount } from '../layers/overlay.js';
import { diskUsage } from './disk-usage.js';
import { type FileLock, tryLock } from './locks.js';
import { isPartial, PARTIAL_CONTENT } from './partial-names.js';

const LOCK = 'lock';
/** Milliseconds for which an interrupted download can be continued. */
const PARTIAL_LIFE = 24 * 60 * 60 * 1000;

/**
 * This process's own corner of the store's `tmp/`: everything unfinished lives in it. A lock says that its owner lives; corners
 * whose owner is gone (kill -9, power cut) are swept by the next process that needs one. Interrupted downloads have corners of their own
 * (partial-blob.ts), which are swept when nobody has continued them for a day.
 */
export class TempSpace {
  readonly root: string;
  #corner: Promise<{ readonly dir: string; readonly lock: FileLock }> | undefined;
  #next = 0;

  constructor(root: string) {
    this.root = root;
  }

  /** A name nobody else uses, for a file or directory to be made by the caller and renamed away or removed. */
  async path(label: string): Promise<string> {
    this.#corner ??= this.#open().catch((error: unknown) => {
      this.#corner = undefined;
      throw error;
    });
    const { dir } = await this.#corner;
    return join(dir, `${this.#next++}-${label}`);
  }

  /**
   * Removes something of the store, whole or not at all: it is moved here first, so that nobody meets a half of it, also when this process is
   * killed meanwhile. What is not there is no error.
   */
  async discard(path: string): Promise<void> {
    const place = await this.#pathIfSpace('discarded');
    if (place === undefined) return removeTree(path);
    try {
      await rename(path, place);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return;
      throw error;
    }
    await removeTree(place);
  }

  /** Removes the corner and what is left in it. */
  async close(): Promise<void> {
    const corner = await this.#corner?.catch(() => undefined);
    this.#corner = undefined;
    if (corner === undefined) return;
    await removeCorner(corner.dir);
    await corner.lock.release();
  }

  /** {@link close}, and takes the space itself away when nobody has anything in it. */
  async leave(): Promise<void> {
    await this.close();
    await rmdir(this.root).catch((error: unknown) => {
      if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
    });
  }

  /**
   * Removes what nobody works on any more.
   * @param partials also downloads that could still be continued.
   * @returns bytes on the disk that were freed.
   */
  async sweep({ partials = false }: { readonly partials?: boolean } = {}): Promise<number> {
    return this.#sweepInto(await this.#pathIfSpace('swept'), partials);
  }

  /** What {@link sweep} would remove. */
  async leftovers({
    partials = false,
  }: {
    readonly partials?: boolean;
  } = {}): Promise<{ entries: number; bytes: number }> {
    const found = { entries: 0, bytes: 0 };
    await this.#abandoned(partials, async (dir) => {
      found.entries++;
      found.bytes += await diskUsage([dir]);
    });
    return found;
  }

  /** Undefined on a full disk: then to make space is worth more than to do it in one step. */
  async #pathIfSpace(label: string): Promise<string | undefined> {
    try {
      return await this.path(label);
    } catch (error) {
      if (!isSlipwayError(error, 'E_NO_SPACE')) throw error;
      return undefined;
    }
  }

  async #open(): Promise<{ dir: string; lock: FileLock }> {
    let corner: { dir: string; lock: FileLock } | undefined;
    try {
      await makeDirectory(this.root);
      corner = await this.#make().catch(async (error: unknown) => {
        if (errnoOf(error) !== 'ENOSPC' && !isSlipwayError(error, 'E_NO_SPACE')) throw error;
        await this.#sweepInto(undefined, false); // what was left may be what fills the disk
        return this.#make();
      });
      await this.#sweepInto(join(corner.dir, 'swept'), false);
      return corner;
    } catch (error) {
      await corner?.lock.release();
      throw fileSystemError(error, `writing to ${this.root}`);
    }
  }

  async #make(): Promise<{ dir: string; lock: FileLock }> {
    for (;;) {
      const dir = join(this.root, randomBytes(8).toString('hex'));
      await makeDirectory(dir); // and its parent, which whoever was here before may have taken away
      const lock = await tryLock(join(dir, LOCK), 'exclusive', { waitSeconds: 0 }).catch(async (error: unknown) => {
        await rmdir(dir).catch(() => {});
        if (errnoOf(error) === 'ENOENT') return undefined;
        throw error;
      });
      // A sweeper may have come between mkdir and the lock: it then holds, or has removed, what we locked.
      if (lock === undefined) continue;
      if (await lock.isCurrent()) return { dir, lock };
      await lock.release();
    }
  }

  /**
   * @param place where abandoned corners are moved to before they are removed: two sweepers must not be at work in one directory. Undefined on
   * a full disk, where they are removed as they are.
   */
  async #sweepInto(place: string | undefined, partials: boolean): Promise<number> {
    let freed = 0;
    let next = 0;
    await this.#abandoned(partials, async (dir) => {
      // A killed RUN leaves its overlay mounted.
      for (const mounted of await mountPointsBelow(await realpath(dir))) await unmount(mounted, { lazy: true });
      if (partials) freed += await diskUsage([dir]);
      const moved = place === undefined ? dir : `${place}-${next++}`;
      if (place !== undefined) await rename(dir, moved);
      await removeTree(moved);
    });
    return freed;
  }

  /** Calls `work` with every corner whose owner is gone, holding its lock. */
  async #abandoned(partials: boolean, work: (dir: string) => Promise<void>): Promise<void> {
    for (const name of await namesIn(this.root)) {
      const dir = join(this.root, name);
      if (!partials && isPartial(name) && (await isYoung(dir))) continue;
      const lock = await tryLock(join(dir, LOCK), 'exclusive', { waitSeconds: 0 }).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      });
      if (lock === undefined) continue;
      try {
        if (await lock.isCurrent()) await work(dir);
      } finally {
        await lock.release();
      }
    }
  }
}

/**
 * Removes a corner whose lock is held. The lock goes last: as long as it is there, nobody else begins to sweep. Whoever makes a new lock in the
 * moment after finds an empty directory, and removes that.
 */
export async function removeCorner(dir: string): Promise<void> {
  for (const name of await namesIn(dir)) if (name !== LOCK) await removeTree(join(dir, name));
  await rm(join(dir, LOCK), { force: true });
  await rmdir(dir).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'ENOENT') throw error;
  });
}

async function isYoung(dir: string): Promise<boolean> {
  const found = await stat(join(dir, PARTIAL_CONTENT)).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs < PARTIAL_LIFE;
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
