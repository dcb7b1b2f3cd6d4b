import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { type Clusterfile, readClusterfile } from '../install/clusterfile/read-clusterfile.js';

/** A Clusterfile as a command gets it. */
export interface GivenClusterfile {
  /** Its name, which places of mistakes begin with. */
  readonly file: string;
  readonly clusterfile: Clusterfile;
}

/** Reads a Clusterfile; `-` is standard input. @throws SlipwayError E_NOT_FOUND, E_CLUSTERFILE */
export async function openClusterfile(file: string): Promise<GivenClusterfile> {
  if (file === '-')
    return { file: resolve('stdin'), clusterfile: readClusterfile(await readAll(process.stdin), 'stdin') };
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new SlipwayError('E_NOT_FOUND', `there is no file ${file}`);
    throw fileSystemError(error, `reading ${file}`);
  }
  return { file, clusterfile: readClusterfile(text, file) };
}
