import { randomBytes } from 'node:crypto';
import { mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../base/errors.js';
import { removeTree } from '../base/remove-tree.js';
import { mountPointsBelow } from '../layers/mount-table.js';
import { unmount } from '../layers/overlay.js';
import { type FileLock, tryLock } from './locks.js';

const LOCK = 'lock';

/**
 * This process's own corner of the store's `tmp/`: everything unfinished lives in it. A lock says that its owner lives; corners
 * whose owner is gone (kill -9, power cut) are swept by the next process that needs one.
 */
export class TempSpace {
  readonly #root: string;
  #corner: Promise<{ readonly dir: string; readonly lock: FileLock }> | undefined;
  #next = 0;

  constructor(root: string) {
    this.#root = root;
  }

  /** A name nobody else uses, for a file or directory to be made by the caller and renamed away or removed. */
  async path(label: string): Promise<string> {
    this.#corner ??= this.#open();
    const { dir } = await this.#corner;
    return join(dir, `${this.#next++}-${label}`);
  }

  /** Removes the corner and what is left in it. */
  async close(): Promise<void> {
    const corner = await this.#corner?.catch(() => undefined);
    this.#corner = undefined;
    if (corner === undefined) return;
    await removeTree(corner.dir);
    await corner.lock.release();
  }

  async #open(): Promise<{ dir: string; lock: FileLock }> {
    await mkdir(this.#root, { recursive: true });
    await this.#sweep();
    for (;;) {
      const dir = join(this.#root, randomBytes(8).toString('hex'));
      await mkdir(dir);
      const lock = await tryLock(join(dir, LOCK), 'exclusive', { waitSeconds: 0 });
      // A sweeper may have come between mkdir and the lock: it then holds, or has removed, what we locked.
      if (lock !== undefined) {
        if (await exists(join(dir, LOCK))) return { dir, lock };
        await lock.release();
      }
    }
  }

  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const dir = join(this.#root, name);
      const lock = await tryLock(join(dir, LOCK), 'exclusive', { waitSeconds: 0 }).catch((error: unknown) => {
        if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
        throw error;
      });
      if (lock === undefined) continue;
      // A killed RUN leaves its overlay mounted.
      for (const place of await mountPointsBelow(await realpath(dir))) await unmount(place, { lazy: true });
      await removeTree(dir);
      await lock.release();
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
