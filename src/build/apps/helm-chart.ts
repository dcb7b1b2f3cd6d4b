import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { findHelm } from '../collect/helm.js';
import type { BuildJob } from '../job.js';
import { unpackChart } from './chart.js';
import type { AppSource } from './source.js';

const TIMEOUT_MS = 10 * 60_000;
const MOST_OUTPUT = 1024 * 1024;

/**
 * Fetches a chart of a chart repository with the program helm, which knows the repositories of this machine and their passwords.
 * @param dir a directory of our own, is made. @returns the directory of the chart.
 * @throws SlipwayError E_MISSING_PROGRAM without helm, E_NOT_FOUND with what helm said.
 */
export async function helmChart(
  { reporter, signal }: Pick<BuildJob, 'reporter' | 'signal'>,
  source: Extract<AppSource, { readonly kind: 'helm' }>,
  dir: string,
): Promise<string> {
  const { repository, chart, version } = source;
  const what = `the chart ${chart} of ${'url' in repository ? repository.url : repository.name}`;
  const program = (await findHelm())?.program;
  if (program === undefined)
    throw new SlipwayError('E_MISSING_PROGRAM', `${what} is fetched with the program helm, and it is not installed`, {
      hint: 'install helm (https://helm.sh), or bring the chart as a directory (local://), or from a registry (oci://)',
    });
  const packed = join(dir, 'packed');
  await makeDirectory(packed);
  await helm(
    program,
    [
      'pull',
      ...('url' in repository ? [chart, '--repo', repository.url] : [`${repository.name}/${chart}`]),
      ...(version === undefined ? [] : ['--version', version]),
      '--destination',
      packed,
    ],
    what,
    signal,
  );
  const name = (await readdir(packed)).find((file) => /\.t(?:ar\.)?gz$/.test(file));
  if (name === undefined) throw new SlipwayError('E_NOT_FOUND', `helm brought no file for ${what}`);
  if (version === undefined) reporter.info(`${what}: ${name} (the newest; name a version to keep it)`);
  return unpackChart(createReadStream(join(packed, name)), join(dir, 'chart'), what, signal);
}

async function helm(program: string, args: readonly string[], what: string, signal: AbortSignal): Promise<void> {
  try {
    await promisify(execFile)(program, args, {
      timeout: TIMEOUT_MS,
      maxBuffer: MOST_OUTPUT,
      signal,
    });
  } catch (error) {
    signal.throwIfAborted();
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().split('\n').slice(-5) : [];
    throw new SlipwayError(
      'E_NOT_FOUND',
      `helm could not fetch ${what}${said.length === 0 ? '' : `: ${said.join('\n')}`}`,
      {
        hint: `run "helm ${args.slice(0, -2).join(' ')}" to see more`,
        cause: error,
      },
    );
  }
}
