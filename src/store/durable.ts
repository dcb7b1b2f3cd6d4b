import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileSystemError } from '../base/errors.js';

/** Makes a directory's entries (renames, new files) survive a power cut. */
export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces `target` by `bytes` so that a reader at any time, also after a crash, sees the old or the new content, whole. */
export async function replaceFile(
  target: string,
  temp: string,
  bytes: Uint8Array | string,
  mode = 0o644,
): Promise<void> {
  try {
    const handle = await open(temp, 'w', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temp, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    throw fileSystemError(error, `writing ${target}`);
  }
}
