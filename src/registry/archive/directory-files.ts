import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, fileSystemError } from '../../base/errors.js';
import { type PlacedFiles, readRange } from './placed-files.js';

/** O_NONBLOCK: a FIFO where a file should be does not hang us. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** The files of a directory. Its paths are given by us, never by what is in it. */
export function directoryFiles(dir: string): PlacedFiles {
  return {
    label: dir,
    async size(path) {
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
