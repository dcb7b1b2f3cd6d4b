import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import { type WantedApplications, wantedApplications } from '../install/clusterfile/app-configs.js';
import { type Clusterfile, readApplicationFile, readClusterfile } from '../install/clusterfile/read-clusterfile.js';
import { mistakesError } from '../install/clusterfile/yaml-document.js';

/** A Clusterfile as a command gets it. */
export interface GivenClusterfile {
  /** Its name, which places of mistakes begin with. */
  readonly file: string;
  readonly clusterfile: Clusterfile;
}

/** What a Clusterfile says of applications. */
export interface GivenApplications extends WantedApplications {
  /** Of the cluster, where the file says it. */
  readonly clusterName: string | undefined;
  /** By which they are installed. */
  readonly name: string;
}

/** Reads a Clusterfile; `-` is standard input. @throws SlipwayError E_NOT_FOUND, E_CLUSTERFILE */
export async function openClusterfile(path: string): Promise<GivenClusterfile> {
  const { file, name, text } = await openFile(path);
  return { file, clusterfile: readClusterfile(text, name) };
}

/**
 * What a Clusterfile says of applications, values filled in.
 * @param env variables of the command line, which beat those of the file.
 * @throws SlipwayError E_NOT_FOUND, E_CLUSTERFILE
 */
export async function openApplicationFile(
  path: string,
  env: Readonly<Record<string, string>>,
): Promise<GivenApplications> {
  const { file, name, text } = await openFile(path);
  const { clusterName, application } = readApplicationFile(text, name);
  const mistakes: string[] = [];
  const wanted = wantedApplications(application, env, { file, environment: process.env }, mistakes);
  if (mistakes.length > 0) throw mistakesError(mistakes);
  return { ...wanted, clusterName, name: application.metadata.name };
}

/** A file that was named, or standard input. `name` is what places of mistakes begin with. */
async function openFile(
  file: string,
): Promise<{ readonly file: string; readonly name: string; readonly text: string }> {
  if (file === '-') return { file: resolve('stdin'), name: 'stdin', text: await readAll(process.stdin) };
  try {
    return { file, name: file, text: await readFile(file, 'utf8') };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new SlipwayError('E_NOT_FOUND', `there is no file ${file}`, {
        hint: 'docs/clusterfile.md says what is in a Clusterfile, examples/three-masters has some to start from',
      });
    if (errnoOf(error) === 'EISDIR')
      throw new SlipwayError('E_NOT_FOUND', `${file} is a directory, and a Clusterfile is wanted`, {
        hint: `name the file in it: -f ${join(file, 'Clusterfile')}`,
      });
    throw fileSystemError(error, `reading ${file}`);
  }
}
