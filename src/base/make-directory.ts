import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errors.js';

/** Others may make or remove the same directories at the same moment. */
const TRIES = 3;

/**
 * Makes a directory and what is missing above it. Level by level: Node's own recursive mkdir never returns where a level can be made by
 * nobody, such as below /proc, and says ENOENT on a full disk.
 * @throws the error of the file system.
 */
export async function makeDirectory(dir: string, mode = 0o777, tries = TRIES): Promise<void> {
  try {
    await mkdir(dir, mode);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST' && (await stat(dir)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(dir) === dir || tries === 0) throw error;
    if (!(await exists(dirname(dir)))) await makeDirectory(dirname(dir), mode);
    await makeDirectory(dir, mode, tries - 1);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
