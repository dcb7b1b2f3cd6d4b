import { suggest } from '../../base/suggest.js';

/** Says that a word is none of those that are known: `unknown type SHEL; did you mean SHELL?` */
export function unknownWord(what: string, word: string, known: readonly string[]): string {
  const near = suggest(word, known);
  return near === undefined
    ? `unknown ${what} ${JSON.stringify(word)}; known are ${known.join(', ')}`
    : `unknown ${what} ${JSON.stringify(word)}; did you mean ${near}?`;
}

/** The words of a list that sealer writes with bars: `PreInit|PreJoin`. */
export function barredWords(text: string): readonly string[] {
  return text
    .split('|')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** What matches lists of these words and no others, for the JSON schema. */
export function barredPattern(words: readonly string[]): string {
  const one = ` *(${words.join('|')}) *`;
  return `^${one}(\\|${one})*\\|?$`;
}
