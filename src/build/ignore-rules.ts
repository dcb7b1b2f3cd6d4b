import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import dockerignore from '@balena/dockerignore';
import { errnoOf, SlipwayError } from '../base/errors.js';

/** Names of ignore files, best first; `<Kubefile>.dockerignore` comes before all of them. */
const IGNORE_FILES = ['.kubeignore', '.dockerignore'];

/** What the lines of one ignore file hide from the build. */
export interface IgnoreRules {
  /** The file they came from, for messages. */
  readonly file: string;
  ignores(path: string): boolean;
  /** There are `!` rules: an ignored directory may hold something that is not ignored. */
  readonly hasExceptions: boolean;
}

/**
 * The rules of the ignore file that counts: `<Kubefile>.dockerignore`, else one at the root of the context.
 * @param root of the context. @returns undefined when there is no ignore file.
 * @throws SlipwayError E_USAGE with file and line for a rule that is no pattern.
 */
export async function openIgnoreRules(root: string, kubefile: string): Promise<IgnoreRules | undefined> {
  return readIgnoreRules([`${kubefile}.dockerignore`, ...IGNORE_FILES.map((name) => join(root, name))]);
}

async function readIgnoreRules(files: readonly string[]): Promise<IgnoreRules | undefined> {
  for (const file of files) {
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue;
      throw error;
    }
    checkRules(text, file);
    const rules = dockerignore.default({ ignorecase: false }).add(text.replace(/^\uFEFF/, ''));
    return {
      file,
      ignores: (path) => rules.ignores(path),
      hasExceptions: text.split('\n').some((line) => line.trim().startsWith('!')),
    };
  }
  return undefined;
}

/** @throws SlipwayError E_USAGE that names the line: a rule that cannot be read hides nothing, which is not what anybody meant. */
function checkRules(text: string, file: string): void {
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    try {
      dockerignore.default({ ignorecase: false }).add(line).ignores('x');
    } catch (cause) {
      throw new SlipwayError('E_USAGE', `${file}:${index + 1}: ${JSON.stringify(line)} is not a pattern`, {
        hint: 'a "[" needs its "]"',
        cause,
      });
    }
  }
}
