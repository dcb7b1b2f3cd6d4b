import { lstat } from 'node:fs/promises';
import { errnoOf, SlipwayError } from './errors.js';

/**
 * Whatever has made a directory tree may have put a link in the place of a directory: what is written and swept there must not be somewhere else.
 * @param why what the directory should be, for the message: `a layout keeps its blobs in itself`.
 * @throws SlipwayError E_STORE when something else than a directory is there; nothing at all is well.
 */
export async function refuseLink(dir: string, why: string, hint: string): Promise<void> {
  const found = await lstat(dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined || found.isDirectory()) return;
  throw new SlipwayError('E_STORE', `${dir} is no directory: ${why}`, { hint });
}
