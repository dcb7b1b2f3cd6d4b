import type { Findings } from './problem.js';

const LONGEST_LINE = 65_535;

/** The text of a file, taken apart into lines. */
export interface DecodedText {
  /** No byte order mark, every line ends in `\n`. */
  readonly text: string;
  /** Without a last empty one: a line break at the end of the file begins no line. */
  readonly lines: readonly string[];
  /** Numbers of the lines (from 1) that are already reported and are not worth reading. */
  readonly broken: ReadonlySet<number>;
}

/**
 * Turns bytes (or a string) into lines: UTF-8, byte order mark dropped, CRLF (and CRCRLF) as LF. Invalid UTF-8, NUL bytes and lines of
 * more than 65 535 bytes are reported, once a line.
 */
export function decode(input: string | Uint8Array, findings: Findings): DecodedText {
  const raw = typeof input === 'string' ? input : new TextDecoder('utf-8', { ignoreBOM: true }).decode(input);
  if (isPlain(raw)) return { text: raw, lines: linesOf(raw), broken: new Set() };
  const invalid = typeof input === 'string' ? loneSurrogate : invalidBytes(input);
  const physical = raw.split('\n');
  const broken = new Set<number>();
  const lines = physical.map((whole, index) => {
    const bom = index === 0 && whole.startsWith('\ufeff') ? 1 : 0;
    const line = whole.slice(bom, endOf(whole));
    const report = (offset: number, message: string, hint: string): void => {
      broken.add(index + 1);
      findings.problem({ line: index + 1, column: offset + 1 }, message, hint);
    };
    const bad = invalid(whole);
    if (bad !== undefined) report(bad - bom, 'this is not UTF-8', 'save the file as UTF-8');
    else if (line.includes('\0')) report(line.indexOf('\0'), 'a NUL byte', 'a Kubefile is text; take the byte out');
    else if (line.length > LONGEST_LINE / 3 && Buffer.byteLength(line) > LONGEST_LINE)
      report(
        0,
        `a line of ${Buffer.byteLength(line)} bytes; at most ${LONGEST_LINE} are possible`,
        'put the long part into a file and COPY it',
      );
    return line;
  });
  const text = lines.join('\n');
  if (lines.at(-1) === '') lines.pop();
  return { text, lines, broken };
}

/** Nothing in it needs a look at single lines, as in nearly every file. */
function isPlain(raw: string): boolean {
  if (raw.startsWith('\ufeff') || /[\0\r\ufffd]|\p{Surrogate}/u.test(raw)) return false;
  let start = 0;
  for (let end = raw.indexOf('\n'); end >= 0; end = raw.indexOf('\n', start)) {
    if (end - start > LONGEST_LINE / 3) return false;
    start = end + 1;
  }
  return raw.length - start <= LONGEST_LINE / 3;
}

function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function endOf(line: string): number {
  let end = line.length;
  while (line[end - 1] === '\r') end--;
  return end;
}

/** Finds the first character of a line that has no UTF-8 form. */
function loneSurrogate(line: string): number | undefined {
  const offset = line.search(/\p{Surrogate}/u);
  return offset < 0 ? undefined : offset;
}

/**
 * Given the lines one after the other, finds in each the first character that stands for invalid bytes. The decoder puts
 * U+FFFD there; one that was in the file itself is told apart by its bytes.
 */
function invalidBytes(bytes: Uint8Array): (line: string) => number | undefined {
  let lineStart = 0;
  return (line) => {
    let offset = lineStart;
    const newline = bytes.indexOf(0x0a, lineStart);
    lineStart = newline < 0 ? bytes.length : newline + 1;
    for (let from = 0; ; ) {
      const mark = line.indexOf('\ufffd', from);
      if (mark < 0) return undefined;
      offset += Buffer.byteLength(line.slice(from, mark));
      if (bytes[offset] !== 0xef || bytes[offset + 1] !== 0xbf || bytes[offset + 2] !== 0xbd) return mark;
      offset += 3;
      from = mark + 1;
    }
  };
}
