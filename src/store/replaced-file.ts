import { randomBytes } from 'node:crypto';
import { lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoOf, isSlipwayError } from '../base/errors.js';
import { syncDirectory } from './durable.js';
import { type FileLock, tryLock } from './locks.js';

/** Bytes of the random part of a temporary name. */
const RANDOM = 6;

/**
 * Makes or replaces a file outside of the store so that it is the old one or the new one, whole. It is written under a name beside it that
 * nobody can guess; what killed commands have left under such names goes first.
 * @param write fills the file, which is empty, and makes it durable. @throws what `write` throws; the errors of the file system.
 */
export async function replaceWholeFile(
  file: string,
  mode: number,
  write: (temp: string) => Promise<void>,
): Promise<void> {
  const { temp, lock } = await beginFile(file, mode);
  try {
    await write(temp);
    await rename(temp, file);
    await syncDirectory(dirname(file));
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  } finally {
    await lock?.release();
  }
}

/**
 * A new file beside `file`, to be renamed to it, and locked: who finds it knows that its writer lives. Not every file system has locks; then it
 * counts as in use. What killed commands have left of this kind goes first.
 */
export async function beginFile(
  file: string,
  mode: number,
): Promise<{ readonly temp: string; readonly lock: FileLock | undefined }> {
  await removeLeftovers(file);
  for (;;) {
    const temp = join(dirname(file), `.${basename(file)}.${randomBytes(RANDOM).toString('hex')}`);
    await (await open(temp, 'wx', mode)).close();
    const lock = await lockIfPossible(temp);
    if (lock === 'impossible') return { temp, lock: undefined };
    // Somebody may have come between the two and taken it for a leftover.
    if (lock !== 'held' && (await lock.isCurrent())) return { temp, lock };
    if (lock !== 'held') await lock.release();
    await rm(temp, { force: true });
  }
}

/** Files of this user with such a name that nobody writes any more. */
async function removeLeftovers(file: string): Promise<void> {
  const dir = dirname(file);
  const prefix = `.${basename(file)}.`;
  const names = await readdir(dir).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    if (!new RegExp(`^[0-9a-f]{${2 * RANDOM}}$`).test(name.slice(prefix.length))) continue;
    const path = join(dir, name);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true || found.uid !== process.getuid?.()) continue;
    const lock = await lockIfPossible(path);
    if (lock === 'held' || lock === 'impossible') continue;
    if (await lock.isCurrent()) await rm(path, { force: true });
    await lock.release();
  }
}

async function lockIfPossible(path: string): Promise<FileLock | 'held' | 'impossible'> {
  try {
    return (await tryLock(path, 'exclusive', { waitSeconds: 0 })) ?? 'held';
  } catch (error) {
    if (isSlipwayError(error) || errnoOf(error) !== undefined) return 'impossible';
    throw error;
  }
}
