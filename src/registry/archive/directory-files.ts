import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import { type PlacedFiles, readRange } from './placed-files.js';

/** O_NONBLOCK: a FIFO where a file should be does not hang us. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * The files of a directory, and of nothing else: a path that leads out of it, by `..` or by a link, leads to nothing. Who changes links while
 * they are followed has the directory to himself anyway.
 */
export function directoryFiles(dir: string): PlacedFiles {
  return {
    label: dir,
    async size(path) {
      if (!(await isWithin(dir, path))) return undefined;
      const handle = await open(join(dir, path), FLAGS).catch((error: unknown) => {
        if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
        throw fileSystemError(error, `reading ${join(dir, path)}`);
      });
      try {
        const found = await handle?.stat();
        return found?.isFile() ? found.size : undefined;
      } finally {
        await handle?.close();
      }
    },
    async *open(path, start, end, signal) {
      const file = join(dir, path);
      if (!(await isWithin(dir, path))) throw new SlipwayError('E_UNSAFE_ARCHIVE', `${file} is not in ${dir}`);
      const handle = await open(file, FLAGS).catch((error: unknown) => {
        throw fileSystemError(error, `reading ${file}`);
      });
      try {
        yield* readRange(handle, start, end, file, signal);
      } finally {
        await handle.close();
      }
    },
    close: async () => {},
  };
}

/** True for a regular file in the directory, and for what is not there at all. */
async function isWithin(dir: string, path: string): Promise<boolean> {
  if (path.split('/').includes('..')) return false;
  try {
    const [root, file] = await Promise.all([realpath(dir), realpath(join(dir, path))]);
    return file.startsWith(root === '/' ? root : `${root}/`) && (await stat(file)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return true;
    throw fileSystemError(error, `reading ${join(dir, path)}`);
  }
}
