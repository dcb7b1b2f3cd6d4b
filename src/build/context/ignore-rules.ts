import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf, SlipwayError } from '../../base/errors.js';
import { cleanPattern, compileIgnorePattern, type IgnorePattern } from './ignore-pattern.js';

/** Names of ignore files, best first; `<Kubefile>.dockerignore` comes before all of them. */
const IGNORE_FILES = ['.kubeignore', '.dockerignore'];

const WHITE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';

/** What the lines of one ignore file hide from the build. */
export interface IgnoreRules {
  /** The file they came from, for messages. */
  readonly file: string;
  /** @param path relative to the context, without slashes at the ends. The last line that names it or something above it decides. */
  ignores(path: string): boolean;
  /** Whether something below this ignored directory may be excepted. False: it need not be read at all. */
  mayExceptBelow(dir: string): boolean;
}

/** One line of an ignore file. */
export interface Rule {
  /** A line that begins with `!`. */
  readonly exception: boolean;
  readonly pattern: IgnorePattern;
}

/**
 * The rules of the ignore file that counts: `<Kubefile>.dockerignore`, else one at the root of the context.
 * @param root of the context. @returns undefined when there is no ignore file.
 * @throws SlipwayError E_USAGE when it cannot be read, and with file and line for a rule that is no pattern.
 */
export async function openIgnoreRules(root: string, kubefile: string): Promise<IgnoreRules | undefined> {
  for (const file of [`${kubefile}.dockerignore`, ...IGNORE_FILES.map((name) => join(root, name))]) {
    let text: string;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue;
      throw new SlipwayError('E_USAGE', `cannot read the ignore file ${file}: ${messageOf(error)}`, {
        hint: 'without it the build would take what it is meant to hide',
        cause: error,
      });
    }
    return parseIgnoreRules(text, file);
  }
  return undefined;
}

/**
 * Reads the text of an ignore file as Docker does (moby/patternmatcher, ignorefile.ReadAll): `#` in the first column makes a comment, blanks
 * around a pattern and slashes around a path do not count, `!` makes an exception.
 * @param file its name, for messages.
 * @throws SlipwayError E_USAGE that names the line: a rule that cannot be read hides nothing, which is not what anybody meant.
 */
export function parseIgnoreRules(text: string, file: string): IgnoreRules {
  const rules: Rule[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const written = trim(line);
    if (line.startsWith('#') || written === '') continue;
    const exception = written.startsWith('!');
    const wanted = exception ? trim(written.slice(1)) : written;
    const pattern = wanted === '' ? undefined : compileIgnorePattern(cleanPattern(wanted));
    if (pattern === undefined) {
      throw new SlipwayError('E_USAGE', `${file}:${index + 1}: ${JSON.stringify(written)} is not a pattern`, {
        hint:
          wanted === ''
            ? 'a pattern is missing after the "!"'
            : 'a "[" needs its "]"; write "\\[" for the character itself',
      });
    }
    rules.push({ exception, pattern });
  }
  return { file, ...ignoreMatcher(rules) };
}

/** Asks rules in order: the last that names a path, or something above it, decides. */
export function ignoreMatcher(rules: readonly Rule[]): Omit<IgnoreRules, 'file'> {
  const NONE = rules.map(() => false);
  // Of directories only: their answers are those of everything below.
  const known = new Map<string, readonly boolean[]>();

  /** For each rule, whether it names the path or a directory above it. */
  function matched(path: string, remember: boolean): readonly boolean[] {
    const before = known.get(path);
    if (before !== undefined) return before;
    const slash = path.lastIndexOf('/');
    const above = slash < 0 ? NONE : matched(path.slice(0, slash), true);
    const all = rules.map(({ pattern }, index) => above[index] === true || pattern.matches(path));
    if (remember) known.set(path, all);
    return all;
  }

  return {
    ignores(path) {
      const last = matched(path, false).lastIndexOf(true);
      return rules[last]?.exception === false;
    },
    mayExceptBelow(dir) {
      // What hides the directory hides all of it, unless a later line takes something out.
      const last = matched(dir, true).lastIndexOf(true);
      return rules.some(({ exception, pattern }, index) => exception && index > last && pattern.mayMatchBelow(dir));
    },
  };
}

/** Go's strings.TrimSpace: the white space of Unicode, which the byte order mark is not. */
function trim(text: string): string {
  return text.replace(new RegExp(`^${WHITE}+|${WHITE}+$`, 'g'), '');
}
