import type { EscapeCharacter } from './ast.js';
import { isBlank, skipBlanks, skipWord } from './blanks.js';
import type { MappedText, Piece } from './position.js';
import { parseWord } from './word-syntax.js';

/** `<<EOF` in an instruction, before its content is read. */
export interface HeredocMarker {
  /** `[start, end)` in the instruction's text. */
  readonly start: number;
  readonly end: number;
  readonly name: string;
  /** Nothing of the name was quoted. */
  readonly expand: boolean;
  /** `<<-`. */
  readonly chomp: boolean;
}

/** A marker and the lines it stands for. */
export interface LexedHeredoc extends HeredocMarker {
  readonly content: MappedText;
}

/**
 * Finds the heredoc markers of a command line from `from` on: words that begin with `<<` (a file descriptor may stand before
 * it), as in BuildKit. `<<<`, a marker inside quotes, and the shift in `$((1 << 2))` are none. The name ends where the
 * shell ends a word, so that `<<EOF;` means `EOF`. A text with an open quote has no markers: the quote belongs to something
 * that only the shell understands.
 */
export function findInCommand(text: string, from: number): HeredocMarker[] {
  const markers: HeredocMarker[] = [];
  const lastArithmetic = text.lastIndexOf('))');
  let wordStart = true;
  for (let offset = from; offset < text.length; ) {
    const character = text[offset] as string;
    if (wordStart) {
      const marker = markerAt(text, offset, true);
      if (marker === 'open quote') return [];
      if (marker !== undefined) {
        markers.push(marker);
        offset = marker.end;
        wordStart = false;
        continue;
      }
    }
    wordStart = isBlank(character);
    if (offset < lastArithmetic && text.startsWith('$((', offset)) offset = text.indexOf('))', offset) + 2;
    else if (isQuoting(character)) {
      const end = behindQuoted(text, offset);
      if (end === undefined) return [];
      offset = end;
    } else offset++;
  }
  return markers;
}

/** Finds the heredoc markers among the words of COPY and ADD; there are none when a quote or brace stays open. */
export function findInWords(text: string, from: number, escapeCharacter: EscapeCharacter): HeredocMarker[] {
  const markers: HeredocMarker[] = [];
  for (let offset = skipBlanks(text, from); offset < text.length; offset = skipBlanks(text, offset)) {
    const marker = markerAt(text, offset, false);
    if (marker === 'open quote') return [];
    if (marker !== undefined) {
      markers.push(marker);
      offset = marker.end;
      continue;
    }
    const { end, mistake } = parseWord(text, offset, { escape: escapeCharacter, stopAtBlank: true });
    if (mistake?.unterminated === true) return [];
    offset = skipWord(text, end);
  }
  return markers;
}

function isQuoting(character: string): boolean {
  return character === "'" || character === '"' || character === '\\';
}

/** The offset behind the quoted string or the escaped character at `start`; undefined when a quote stays open. */
function behindQuoted(text: string, start: number): number | undefined {
  const quote = text[start];
  if (quote === '\\') return start + 2;
  for (let offset = start + 1; offset < text.length; offset++) {
    if (text[offset] === quote) return offset + 1;
    if (quote === '"' && text[offset] === '\\') offset++;
  }
  return undefined;
}

function markerAt(text: string, start: number, shell: boolean): HeredocMarker | 'open quote' | undefined {
  let offset = start;
  while (/^[0-9]$/.test(text[offset] ?? '')) offset++;
  if (!text.startsWith('<<', offset)) return undefined;
  offset += 2;
  const chomp = text[offset] === '-';
  if (chomp) offset++;
  offset = skipBlanks(text, offset);
  let name = '';
  let expand = true;
  while (offset < text.length) {
    const character = text[offset] as string;
    if (character === '<') return undefined;
    if (isBlank(character) || (shell && ';|&()>'.includes(character))) break;
    if (!isQuoting(character)) {
      name += character;
      offset++;
      continue;
    }
    const end = behindQuoted(text, offset);
    if (end === undefined) return 'open quote';
    expand = false;
    name += unquote(text.slice(offset, end));
    offset = end;
  }
  return name === '' ? undefined : { start, end: offset, name, expand, chomp };
}

/** The text of one quoted string or escaped character. */
function unquote(quoted: string): string {
  if (quoted.startsWith("'")) return quoted.slice(1, -1);
  if (quoted.startsWith('"')) return quoted.slice(1, -1).replace(/\\(["\\$`])/g, '$1');
  return quoted.slice(1);
}

/** Lines in which the end of a heredoc is looked for before a table of all lines is made: most are short. */
const NEAR = 100;

/**
 * Finds where heredocs end. Knows for every text the last line that has it, so that a search that would find nothing is not
 * made: a file full of heredocs without an end is read in time proportional to its length.
 */
export class HeredocEnds {
  private exact: ReadonlyMap<string, number> | undefined;
  private untabbed: ReadonlyMap<string, number> | undefined;
  private trimmed: ReadonlyMap<string, number> | undefined;

  constructor(private readonly lines: readonly string[]) {}

  /** Index of the line that ends a heredoc whose content begins at line `from`. */
  find({ name, chomp }: HeredocMarker, from: number): number | undefined {
    let index = from;
    const near = Math.min(this.lines.length, from + NEAR);
    while (index < near && !isEnd(this.lines[index] ?? '', name, chomp)) index++;
    if (index < near) return index;
    if ((this.lastLineOf(chomp).get(name) ?? -1) < index) return undefined;
    while (!isEnd(this.lines[index] ?? '', name, chomp)) index++;
    return index;
  }

  /** Index of the first line that would end it if there were no blanks around the name. */
  findNear({ name }: HeredocMarker, from: number): number | undefined {
    this.trimmed ??= this.lastLines((line) => line.trim());
    if ((this.trimmed.get(name) ?? -1) < from) return undefined;
    let index = from;
    while (this.lines[index]?.trim() !== name) index++;
    return index;
  }

  private lastLineOf(chomp: boolean): ReadonlyMap<string, number> {
    if (chomp) {
      this.untabbed ??= this.lastLines((line) => line.slice(countTabs(line)));
      return this.untabbed;
    }
    this.exact ??= this.lastLines((line) => line);
    return this.exact;
  }

  private lastLines(form: (line: string) => string): ReadonlyMap<string, number> {
    return new Map(this.lines.map((line, index) => [form(line), index]));
  }
}

function isEnd(line: string, name: string, chomp: boolean): boolean {
  return (chomp ? line.slice(countTabs(line)) : line) === name;
}

/** The content of a heredoc: the lines with the indices `[from, end)`. */
export function heredocContent(lines: readonly string[], from: number, end: number, chomp: boolean): MappedText {
  const pieces: Piece[] = [];
  const content: string[] = [];
  let offset = 0;
  for (let index = from; index < end; index++) {
    const whole = lines[index] ?? '';
    const tabs = chomp ? countTabs(whole) : 0;
    const line = whole.slice(tabs);
    pieces.push({ offset, line: index + 1, column: tabs + 1 });
    content.push(line, '\n');
    offset += line.length + 1;
  }
  return { text: content.join(''), pieces };
}

function countTabs(line: string): number {
  let tabs = 0;
  while (line[tabs] === '\t') tabs++;
  return tabs;
}
