import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errors.js';

/**
 * Makes a directory and what is missing above it. Level by level: Node's own recursive mkdir never returns where a level can be made by
 * nobody, such as below /proc.
 * @throws the error of the file system.
 */
export async function makeDirectory(dir: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(dir, mode);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST' && (await stat(dir)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(dir) === dir || (await exists(dirname(dir)))) throw error;
    await makeDirectory(dirname(dir), mode);
    await mkdir(dir, mode);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
