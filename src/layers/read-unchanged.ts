import type { Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { fsPath } from './path-bytes.js';
import { fileChanged, SOURCE_FLAGS, sourceFileError } from './source-file.js';

const CHUNK = 1024 * 1024;
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
    handle = await open(fsPath(file), SOURCE_FLAGS);
    checkSame(file, expected, await handle.stat());
    for (;;) {
      const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(CHUNK, expected.size)));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      yield buffer.subarray(0, bytesRead);
    }
    checkSame(file, expected, await handle.stat());
  } catch (error) {
    throw sourceFileError(error, file);
  } finally {
    await handle?.close();
  }
}

function checkSame(file: string, expected: FileStamp, now: Stats): void {
  if (now.dev !== expected.dev || now.ino !== expected.ino || !now.isFile())
    throw fileChanged(file, 'another file is in its place now');
  if (now.size !== expected.size || now.mtimeMs !== expected.mtimeMs || now.ctimeMs !== expected.ctimeMs)
    throw fileChanged(file, 'it was written to');
}
