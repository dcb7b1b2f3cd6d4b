import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { fsPath } from './path-bytes.js';

const CHUNK = 1024 * 1024;
/** O_NONBLOCK: a file that has become a FIFO does not hang us. O_NOFOLLOW: one that has become a link leads nowhere. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What `lstat` says of a regular file that changes when the file does; times in milliseconds. */
export type FileStamp = Readonly<Pick<Stats, 'dev' | 'ino' | 'size' | 'mtimeMs' | 'ctimeMs'>>;

/**
 * The content of a regular file that its owner may change at any time.
 * @param expected what `lstat` said of it. Not a byte is read of a file that has come to its place since then.
 * @throws SlipwayError E_FILE_CHANGED when it is another one or is written to meanwhile, E_PERMISSION.
 */
export async function* readUnchanged(file: string, expected: FileStamp): AsyncGenerator<Buffer> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(fsPath(file), FLAGS);
    checkSame(file, expected, await handle.stat());
    for (;;) {
      const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK, expected.size)));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    checkSame(file, expected, await handle.stat());
  } catch (error) {
    switch (errnoOf(error)) {
      case 'ENOENT':
      case 'ENOTDIR':
        throw changed(file, 'it is gone', error);
      case 'ELOOP':
        throw changed(file, 'it is a symbolic link now', error);
      case 'ENAMETOOLONG':
        throw new SlipwayError(
          'E_UNSUPPORTED',
          `cannot read …${file.slice(-200)}: the path is too long for this machine`,
          {
            hint: 'build in a directory with a shorter path',
            cause: error,
          },
        );
      default:
        throw fileSystemError(error, `reading ${file}`);
    }
  } finally {
    await handle?.close();
  }
}

function checkSame(file: string, expected: FileStamp, now: Stats): void {
  if (now.dev !== expected.dev || now.ino !== expected.ino || !now.isFile())
    throw changed(file, 'another file is in its place now');
  if (now.size !== expected.size || now.mtimeMs !== expected.mtimeMs || now.ctimeMs !== expected.ctimeMs)
    throw changed(file, 'it was written to');
}

function changed(file: string, how: string, cause?: unknown): SlipwayError {
  return new SlipwayError('E_FILE_CHANGED', `${file} changed while it was being read: ${how}`, {
    hint: 'stop whatever writes to it and try again',
    cause,
  });
}
