import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileSystemError } from '../../base/errors.js';
import { interruptible } from '../interruptible.js';

/**
 * Writes an archive to a file or a stream. A file gets its name when it is complete and on the disk: what breaks off leaves nothing. A
 * stream (standard output) is left open.
 * @throws SlipwayError E_NO_SPACE, E_PERMISSION; what `content` throws.
 */
export async function writeOutput(
  content: AsyncIterable<Uint8Array>,
  target: string | Writable,
  signal?: AbortSignal,
): Promise<void> {
  if (typeof target !== 'string') {
    await pipeline(interruptible(content, signal), target, { end: false });
    return;
  }
  const file = resolve(target);
  const temp = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    await pipeline(
      interruptible(content, signal),
      createWriteStream(temp, { flags: 'wx', mode: 0o644, highWaterMark: 1024 * 1024, flush: true }),
    );
    await rename(temp, file);
    const parent = await open(dirname(file), 'r');
    await parent.sync().finally(() => parent.close());
  } catch (error) {
    await rm(temp, { force: true });
    throw fileSystemError(error, `writing ${file}`);
  }
}
