import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SlipwayError } from './errors.js';

/**
 * The text of a regular file. What a stranger has put in its place is not read: for whoever writes to a FIFO, readFile would wait in a thread that no
 * signal ends, and a device may have no end.
 * @throws SlipwayError E_STORE when it is no regular file; the error of the file system.
 */
export async function readRegularFile(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = await handle.stat();
    if (!found.isFile() && !found.isDirectory()) throw new SlipwayError('E_STORE', `${file} is not a regular file`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}
