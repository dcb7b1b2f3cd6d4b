/** What separates words: Docker's list. A line never holds `\n`. */
export function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\v' || character === '\f';
}

/** Native loops: a Kubefile is read once in a process, so its loops are never compiled. */
const BLANKS = /[ \t\r\v\f]*/y;
const WORD = /[^ \t\r\v\f]*/y;

/** The offset of the first character at or after `from` that is not blank; `end` when there is none. */
export function skipBlanks(text: string, from: number, end = text.length): number {
  return from >= end ? from : Math.min(end, behind(BLANKS, text, from));
}

/** The offset after the last character before `end` that is not blank; never less than `from`. */
export function trimBlanks(text: string, from: number, end = text.length): number {
  let offset = end;
  while (offset > from && isBlank(text[offset - 1])) offset--;
  return offset;
}

/** The offset of the first blank at or after `from`; `end` when there is none. */
export function skipWord(text: string, from: number, end = text.length): number {
  return from >= end ? from : Math.min(end, behind(WORD, text, from));
}

/** The offset behind what a sticky pattern matches at `from`; it may match nothing. */
export function behind(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.test(text) ? pattern.lastIndex : from;
}
