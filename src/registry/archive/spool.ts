import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSystemError } from '../../base/errors.js';

/**
 * Keeps a stream in a file without a name, so that it can be read at any place: nothing is left of it once it is closed, also when this process is
 * killed.
 * @param dir default `TMPDIR`, or `/var/tmp`, which as a rule is on a disk.
 * @throws SlipwayError E_NO_SPACE; what the stream throws.
 */
export async function spool(
  stream: AsyncIterable<Buffer>,
  dir: string = process.env.TMPDIR || '/var/tmp',
): Promise<FileHandle> {
  const file = join(dir, `slipway-${randomBytes(8).toString('hex')}`);
  const what = `keeping an archive in ${dir} (TMPDIR says where)`;
  const failed = (error: unknown): never => {
    throw fileSystemError(error, what);
  };
  const handle = await open(file, 'wx+', 0o600).catch(failed);
  try {
    await rm(file).catch(failed);
    for await (const chunk of stream) {
      for (let at = 0; at < chunk.length; )
        at += (await handle.write(chunk, at, chunk.length - at).catch(failed)).bytesWritten;
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
