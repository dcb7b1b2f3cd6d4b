/** A pattern of the shell, ready to match: `*` any text, `?` one character, the rest stands for itself. */
export type GlobPattern = readonly GlobToken[];

export type GlobToken =
  | { readonly kind: 'star' }
  | { readonly kind: 'any' }
  | { readonly kind: 'character'; readonly character: string };

const STAR: GlobToken = { kind: 'star' };
const ANY: GlobToken = { kind: 'any' };

/** Tokens of a text in which every character stands for itself. */
export function literalTokens(text: string): GlobToken[] {
  return Array.from(text, (character) => ({ kind: 'character', character }));
}

/** Tokens of a text in which `*` and `?` are wildcards and `\` makes the next character literal. No brackets, as in Docker. */
export function patternTokens(text: string): GlobToken[] {
  const tokens: GlobToken[] = [];
  const characters = Array.from(text);
  for (let index = 0; index < characters.length; index++) {
    let character = characters[index] as string;
    if (character === '*') tokens.push(STAR);
    else if (character === '?') tokens.push(ANY);
    else {
      if (character === '\\' && index + 1 < characters.length) character = characters[++index] as string;
      tokens.push({ kind: 'character', character });
    }
  }
  return tokens;
}

/** `value` without the shortest or longest beginning that matches. */
export function trimPrefix(value: string, pattern: GlobPattern, longest: boolean): string {
  const characters = Array.from(value);
  const end = matchEnd(characters, 0, compile(pattern), longest);
  return end === undefined ? value : characters.slice(end).join('');
}

/** `value` without the shortest or longest end that matches. */
export function trimSuffix(value: string, pattern: GlobPattern, longest: boolean): string {
  const reversed = Array.from(value).reverse();
  const end = matchEnd(reversed, 0, compile([...pattern].reverse()), longest);
  return end === undefined ? value : reversed.slice(end).reverse().join('');
}

/**
 * The stretches `[start, end)` of `characters` that match, the longest at each place, none overlapping; only the first
 * when `all` is false. Nothing matches an empty pattern.
 */
export function findMatches(characters: readonly string[], pattern: GlobPattern, all: boolean): [number, number][] {
  const matches: [number, number][] = [];
  if (pattern.length === 0) return matches;
  const compiled = compile(pattern);
  const first = compiled.segments[0] ?? [];
  for (let from = 0; ; ) {
    const start = search(characters, first, from, 1);
    // When the rest does not match after the first place for the beginning, it cannot match after a later one: less text is left.
    const end = start === undefined ? undefined : matchEnd(characters, start, compiled, true);
    if (start === undefined || end === undefined) return matches;
    matches.push([start, end]);
    if (!all || end >= characters.length) return matches;
    from = Math.max(end, start + 1);
  }
}

/** The runs between the stars: `a*b?` has the segments `a` and `b?`, `*` two empty ones. */
interface Compiled {
  readonly segments: readonly (readonly GlobToken[])[];
}

function compile(pattern: GlobPattern): Compiled {
  const segments: GlobToken[][] = [[]];
  for (const token of pattern) {
    if (token.kind === 'star') segments.push([]);
    else segments.at(-1)?.push(token);
  }
  return { segments };
}

/**
 * Where the shortest or longest match that begins at `start` ends. Each segment is looked for once, at its first place after
 * the one before it, and the last one, for the longest match, at its last place: no backtracking.
 */
function matchEnd(
  characters: readonly string[],
  start: number,
  { segments }: Compiled,
  longest: boolean,
): number | undefined {
  const first = segments[0] ?? [];
  if (!matchesAt(characters, first, start)) return undefined;
  let end = start + first.length;
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index] ?? [];
    const last = index === segments.length - 1;
    const place =
      last && longest
        ? search(characters, segment, characters.length - segment.length, -1, end)
        : search(characters, segment, end, 1);
    if (place === undefined) return undefined;
    end = place + segment.length;
  }
  return end;
}

/** The first place from `from` on, going by `step`, where the segment matches; never before `least`. */
function search(
  characters: readonly string[],
  segment: readonly GlobToken[],
  from: number,
  step: 1 | -1,
  least = 0,
): number | undefined {
  const most = characters.length - segment.length;
  for (let place = from; place >= least && place <= most; place += step)
    if (matchesAt(characters, segment, place)) return place;
  return undefined;
}

function matchesAt(characters: readonly string[], segment: readonly GlobToken[], place: number): boolean {
  if (place + segment.length > characters.length) return false;
  return segment.every((token, index) => token.kind !== 'character' || token.character === characters[place + index]);
}
