/** True when a COPY source is a pattern rather than a name. */
export function hasWildcard(pattern: string): boolean {
  return /[*?[]/.test(pattern.replace(/\\./g, ''));
}

/** A pattern without its backslash escapes, for a source that is a plain name. */
export function unescapePattern(pattern: string): string {
  return pattern.replace(/\\(.)/g, '$1');
}

/**
 * Go's filepath.Match, and `**` for any number of directories, as Docker has it: `*` and `?` do not cross `/`, classes are
 * `[a-z]` and `[^a-z]`, a backslash takes the next character literally. A dot at the beginning is nothing special.
 * @returns undefined when the pattern is malformed (an open class, a backslash at the end).
 */
export function compilePattern(pattern: string): RegExp | undefined {
  let source = '';
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern[index] as string;
    if (character === '*') {
      if (pattern[index + 1] !== '*') {
        source += '[^/]*';
        continue;
      }
      index++;
      // `**/` matches no directory too: `**/x` is `x` and `a/x`
      if (pattern[index + 1] === '/') {
        index++;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const end = classEnd(pattern, index);
      if (end === undefined) return undefined;
      source += classSource(pattern.slice(index + 1, end));
      index = end;
    } else if (character === '\\') {
      index++;
      const literal = pattern[index];
      if (literal === undefined) return undefined;
      source += escapeLiteral(literal);
    } else source += escapeLiteral(character);
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return undefined; // a range out of order: [z-a]
  }
}

/** The index of the `]` that closes a class; the first character after `[` or `[^` may not be `]` in Go. */
function classEnd(pattern: string, start: number): number | undefined {
  let index = start + 1;
  if (pattern[index] === '^') index++;
  if (pattern[index] === ']' || pattern[index] === undefined) return undefined;
  for (; index < pattern.length; index++) {
    if (pattern[index] === '\\') index++;
    else if (pattern[index] === ']') return index;
  }
  return undefined;
}

function classSource(body: string): string {
  const negated = body.startsWith('^');
  const members = (negated ? body.slice(1) : body).replace(
    /\\(.)|[[\]^]/gs,
    (whole, literal: string | undefined) => `\\${literal ?? whole}`,
  );
  // A class never matches the separator, as in filepath.Match
  return negated ? `[^/${members}]` : `(?!/)[${members}]`;
}

function escapeLiteral(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
