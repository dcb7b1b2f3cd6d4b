import { SlipwayError } from '../../base/errors.js';
import { joinPath } from '../../layers/layer-names.js';
import { compilePattern, hasWildcard, unescapePattern } from '../context/wildcard.js';
import type { SourceEntry, SourceTree } from './source-tree.js';

/**
 * What a pattern matches in a tree, sorted as the names are. What an ignore file hides does not match.
 * @param start the directory that the pattern is relative to. @param source as written, for messages.
 * @throws SlipwayError E_COPY for `..` in a pattern, and a pattern that is malformed.
 */
export function matchWildcard(tree: SourceTree, start: string, pattern: string, source: string): SourceEntry[] {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw new SlipwayError('E_COPY', `${source}: ".." cannot be used together with a wildcard`, {
      hint: 'name the directory directly',
    });
  }
  const matcher = compilePattern(parts.join('/'));
  if (matcher === undefined)
    throw new SlipwayError('E_COPY', `${source} is not a valid pattern`, {
      hint: 'a "[" needs its "]"; write "\\[" for the character itself',
    });
  const literal: string[] = [];
  for (const part of parts.slice(0, -1)) {
    if (hasWildcard(part)) break;
    literal.push(unescapePattern(part));
  }
  const first = literal.join('/');
  const at = (relative: string): string => (relative === '' ? start : joinPath(start, relative));
  if (at(first) !== '' && tree.find(at(first))?.type !== 'dir') return [];

  const found: SourceEntry[] = [];
  const deep = parts.some((part) => part.includes('**'));
  const todo = [{ dir: first, depth: literal.length }];
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    const { dir, depth } = next;
    const below: typeof todo = [];
    for (const name of tree.names(at(dir))) {
      const relative = joinPath(dir, name);
      const matches = matcher.test(relative);
      const goOn = deep || depth + 1 < parts.length;
      if (!matches && !goOn) continue;
      const entry = tree.findMatch(at(relative));
      if (entry === undefined) continue;
      if (matches && !isHidden(tree, entry)) found.push(entry);
      // Through links only as far as the pattern is long: with `**` they could go round in circles.
      if (goOn && entry.type === 'dir' && !isHidden(tree, entry) && !(deep && tree.isLink(at(relative)))) {
        below.push({ dir: relative, depth: depth + 1 });
      }
    }
    todo.unshift(...below);
  }
  return found;
}

/** A hidden directory in which nothing is excepted is as if it were not there. */
export function isHidden(tree: SourceTree, { hiddenBy, type, path }: SourceEntry): boolean {
  if (hiddenBy === undefined) return false;
  if (type !== 'dir') return true;
  for (const _ of tree.walk(path)) return false;
  return true;
}
