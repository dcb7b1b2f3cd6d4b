/** One way to authenticate that a registry offers; RFC 9110, 11.6.1. */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Lower-case names. */
  readonly params: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const SPACE = /[ \t]*/y;
const SEPARATOR = /[ \t,]*/y;
const EQUALS = /[ \t]*=[ \t]*/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;

/**
 * Reads WWW-Authenticate: several challenges may stand in one header, in several, or both. What cannot be read ends its header; what
 * was read before it counts.
 */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  const headers = header === undefined ? [] : typeof header === 'string' ? [header] : header;
  return headers.flatMap(parseHeader);
}

function parseHeader(text: string): Challenge[] {
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match === null) return undefined;
    position = pattern.lastIndex;
    return match;
  };
  const challenges: { scheme: string; params: Record<string, string> }[] = [];
  for (;;) {
    take(SEPARATOR);
    const word = take(TOKEN)?.[0];
    if (word === undefined) return challenges;
    const current = challenges.at(-1);
    if (take(EQUALS) !== undefined) {
      // "name=value" belongs to the challenge before it; a comma does not end a challenge.
      const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(TOKEN)?.[0];
      if (value === undefined || current === undefined) return challenges;
      current.params[word.toLowerCase()] = value;
    } else {
      challenges.push({ scheme: word.toLowerCase(), params: {} });
      take(SPACE);
      take(TOKEN68); // "Negotiate YII…": no parameters, nothing we could use
    }
  }
}
