import { SlipwayError } from '../../base/errors.js';
import { canonicalName, type Reference } from '../../image/reference.js';
import { readImageName } from './found-image.js';
import { listLines } from './image-list.js';

/** A line of a list of images that are not wanted. */
export interface IgnoredImages {
  /** `ignored.txt:3`. */
  readonly where: string;
  readonly pattern: string;
  matches(reference: Reference): boolean;
}

/**
 * Reads a list of images that are not to be carried: names as in an image list, or patterns in which `*` stands for any characters, slashes
 * too, and `?` for one: `*:latest`, `example.com/debug/*`. A pattern is compared with the name as it was written and with the whole name
 * (`docker.io/library/web:1`).
 * @throws SlipwayError E_INVALID_REFERENCE that lists every bad line.
 */
export function parseIgnoredImages(text: string, file: string): IgnoredImages[] {
  const problems: string[] = [];
  const ignored = listLines(text).flatMap(({ line, words }): IgnoredImages[] => {
    const pattern = (words[0] ?? '').replace(/^(["'])(.*)\1$/, '$2');
    const where = `${file}:${line}`;
    if (words.length > 1) {
      problems.push(`${where}: ${JSON.stringify(words.slice(1).join(' '))} is too much: a line is one name or pattern`);
      return [];
    }
    if (/[*?]/.test(pattern)) {
      const matcher = wildcard(pattern);
      return [{ where, pattern, matches: (image) => matcher(image.name) || matcher(canonicalName(image)) }];
    }
    const { reference, problem } = readImageName(pattern);
    if (reference === undefined) {
      problems.push(`${where}: ${problem}`);
      return [];
    }
    const name = canonicalName(reference);
    return [{ where, pattern, matches: (image) => canonicalName(image) === name }];
  });
  if (problems.length > 0)
    throw new SlipwayError('E_INVALID_REFERENCE', problems.join('\n'), {
      hint: 'a list of ignored images has one name or pattern a line',
    });
  return ignored;
}

/** Greedy matching with one point to go back to: linear in practice, never exponential. */
function wildcard(pattern: string): (text: string) => boolean {
  return (text) => {
    let at = 0;
    let star = -1;
    let resume = 0;
    let next = 0;
    while (at < text.length) {
      if (pattern[next] === '*') {
        star = next++;
        resume = at;
      } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === text[at])) {
        next++;
        at++;
      } else if (star >= 0) {
        next = star + 1;
        at = ++resume;
      } else {
        return false;
      }
    }
    while (pattern[next] === '*') next++;
    return next === pattern.length;
  };
}
