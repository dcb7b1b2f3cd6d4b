import { posix } from 'node:path';

/** One pattern of an ignore file, ready to be asked. Paths are relative to the context, without slashes at the ends. */
export interface IgnorePattern {
  /** Whether the pattern names this very path. What is below a path that it names is for the caller to see. */
  matches(path: string): boolean;
  /** False when the pattern cannot name anything below this directory; true when it may. */
  mayMatchBelow(dir: string): boolean;
}

/**
 * Compiles a pattern as moby/patternmatcher has it, which is what `docker build` asks: Go's filepath.Match and `**` for any number of
 * directories. `*` and `?` do not cross `/`, classes are `[a-z]` and `[^a-z]`, a backslash takes the next character literally, a dot at the
 * beginning is nothing special. `**` in front of plain text is any beginning (`**.log`), in front of a `/` any number of directories.
 * @param pattern cleaned: see {@link cleanPattern}. @returns undefined when it is malformed: an open or empty class, a range out of order,
 * a backslash at the end.
 */
export function compileIgnorePattern(pattern: string): IgnorePattern | undefined {
  const whole = matcher(pattern);
  if (whole === undefined) return undefined;
  const matches = pattern.startsWith('**') && !hasSpecial(pattern.slice(2)) ? endsWith(pattern.slice(2)) : whole;
  return { matches, mayMatchBelow: belowTest(pattern) };
}

/** Go's filepath.Clean, and a leading slash dropped: `/a/./b/` is `a/b`. */
export function cleanPattern(pattern: string): string {
  const clean = posix.normalize(pattern);
  const short = clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
  return short.length > 1 && short.startsWith('/') ? short.slice(1) : short;
}

/** `**` and plain text: patternmatcher compares the ends, so that `**.log` matches in any directory and `**` everything. */
function endsWith(end: string): (path: string) => boolean {
  return (path) => path.endsWith(end) || (end.startsWith('/') && path === end.slice(1));
}

function matcher(pattern: string): ((path: string) => boolean) | undefined {
  if (!hasSpecial(pattern)) return (path) => path === pattern;
  const source = toRegularExpression(pattern);
  if (source === undefined) return undefined;
  try {
    const expression = new RegExp(`^${source}$`, 'su');
    return (path) => expression.test(path);
  } catch {
    return undefined; // a range out of order: [z-a]
  }
}

function hasSpecial(pattern: string): boolean {
  return /[*?[\\]/.test(pattern);
}

function toRegularExpression(pattern: string): string | undefined {
  const characters = Array.from(pattern);
  let source = '';
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] as string;
    if (character === '*') {
      if (characters[index + 1] !== '*') {
        source += '[^/]*';
        continue;
      }
      index++;
      if (characters[index + 1] === '/') index++;
      source += index + 1 === characters.length ? '.*' : '(?:.*/)?';
    } else if (character === '?') source += '[^/]';
    else if (character === '[') {
      const found = readClass(characters, index);
      if (found === undefined) return undefined;
      source += found.source;
      index = found.end;
    } else if (character === '\\') {
      const literal = characters[++index];
      if (literal === undefined) return undefined;
      source += escaped(literal);
    } else source += escaped(character);
  }
  return source;
}

/**
 * The class that begins at `start`, by the grammar of filepath.Match: `[`, perhaps `^`, one or more characters or ranges (where `]` and `-`
 * need a backslash), `]`. As in patternmatcher a negated class matches `/` too.
 */
function readClass(
  characters: readonly string[],
  start: number,
): { readonly source: string; readonly end: number } | undefined {
  let index = start + 1;
  const negated = characters[index] === '^';
  if (negated) index++;
  const one = (): string | undefined => {
    let character = characters[index++];
    if (character === '-' || character === ']') return undefined;
    if (character === '\\') character = characters[index++];
    return character === undefined ? undefined : escaped(character);
  };
  let members = '';
  for (let count = 0; count === 0 || characters[index] !== ']'; count++) {
    const low = one();
    if (low === undefined) return undefined;
    members += low;
    if (characters[index] !== '-') continue;
    index++;
    const high = one();
    if (high === undefined) return undefined;
    members += `-${high}`;
  }
  return { source: `[${negated ? '^' : ''}${members}]`, end: index };
}

function escaped(character: string): string {
  return /[\\^$.*+?()[\]{}|/-]/.test(character) ? (character === '-' ? '\\x2d' : `\\${character}`) : character;
}

/** Compares a directory with the beginning of the pattern, part by part, as far as the parts are sure. */
function belowTest(pattern: string): (dir: string) => boolean {
  const parts = pattern.split('/');
  // From `**` on there may be any number of directories, and a class may hold the slash that was split at.
  const open = parts.findIndex((part) => part.includes('**') || part.includes('['));
  const sure = (open < 0 ? parts : parts.slice(0, open)).map(matcher);
  return (dir) => {
    const names = dir.split('/');
    for (const [index, name] of names.entries()) {
      const part = sure[index];
      if (index >= sure.length) return open >= 0;
      if (part !== undefined && !part(name)) return false;
    }
    return open >= 0 || parts.length > names.length;
  };
}
