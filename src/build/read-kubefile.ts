import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { errnoOf, messageOf, SlipwayError } from '../base/errors.js';

/** A Kubefile before it is parsed. */
export interface KubefileText {
  /** Its path, as errors show it. */
  readonly file: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads the Kubefile of a build.
 * @param context the build context. @param given a path, or `-` for standard input; default `Kubefile` in the context.
 * @throws SlipwayError E_NOT_FOUND
 */
export async function readKubefile(context: string, given: string | undefined): Promise<KubefileText> {
  if (given === '-') return { file: '(stdin)', bytes: await buffer(process.stdin) };
  const file = given ?? join(context, 'Kubefile');
  try {
    return { file, bytes: await readFile(file) };
  } catch (cause) {
    const missing = errnoOf(cause) === 'ENOENT';
    throw new SlipwayError('E_NOT_FOUND', `cannot read ${file}: ${missing ? 'no such file' : messageOf(cause)}`, {
      hint:
        given === undefined && missing && existsSync(join(context, 'Dockerfile'))
          ? `there is a Dockerfile: build it with -f ${join(context, 'Dockerfile')}; "# dialect=docker" as its first line gives it Docker's rules`
          : 'a build needs a Kubefile in its context, or one given with -f',
      cause,
    });
  }
}
