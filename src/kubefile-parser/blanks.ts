/** What separates words: Docker's list. A line never holds `\n`. */
export function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\v' || character === '\f';
}

/** The offset of the first character at or after `from` that is not blank; `end` when there is none. */
export function skipBlanks(text: string, from: number, end = text.length): number {
  let offset = from;
  while (offset < end && isBlank(text[offset])) offset++;
  return offset;
}

/** The offset after the last character before `end` that is not blank; never less than `from`. */
export function trimBlanks(text: string, from: number, end = text.length): number {
  let offset = end;
  while (offset > from && isBlank(text[offset - 1])) offset--;
  return offset;
}

/** The offset of the first blank at or after `from`; `end` when there is none. */
export function skipWord(text: string, from: number, end = text.length): number {
  let offset = from;
  while (offset < end && !isBlank(text[offset])) offset++;
  return offset;
}
