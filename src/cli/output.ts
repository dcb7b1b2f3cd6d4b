import type { Writable } from 'node:stream';

/** A command's results on standard output. Progress and notes never come here: see progress.ts. */
export interface Output {
  /** What a terminal would obey in it is escaped: names and texts may be of strangers. */
  line(text?: string): void;
  /** As it is: for a path or a script that another program takes on. */
  verbatim(text: string): void;
  json(value: unknown): void;
  table(rows: readonly (readonly string[])[]): void;
}

export function outputTo(stream: Writable): Output {
  const verbatim = (text: string): void => {
    stream.write(`${text}\n`);
  };
  return {
    line: (text = '') => verbatim(terminalSafe(text)),
    verbatim,
    json: (value) => verbatim(printableJson(JSON.stringify(value, null, 2))),
    table: (rows) => {
      for (const row of formatTable(rows)) verbatim(row);
    },
  };
}

/** Aligns columns with three spaces between them, as docker and kubectl do. The first row is the heading. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, printable(cell).length);
  }
  return rows.map((row) =>
    row
      .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
      .join('   ')
      .trimEnd(),
  );
}

/**
 * A line of somebody else's output (a RUN command, a host, a registry) that may be shown: colours stay, every other control sequence is
 * dropped or shown as an escape, and of a line that was written over (a progress bar) only the last state stays.
 */
export function terminalSafe(text: string): string {
  return text
    .split('\n')
    .map((line) =>
      line
        .replace(/\r+$/, '')
        .replace(/^.*\r/s, '')
        // string sequences (OSC, DCS …) up to their end, then control sequences other than colours
        .replace(/\u001b[\]PX^_].*?(?:\u0007|\u001b\\|$)/g, '')
        .replace(/\u001b\[(?![0-9;]*m)[0-?]*[ -/]*[@-~]/g, '')
        .split(/(\u001b\[[0-9;]*m|\t)/)
        .map((part, index) => (index % 2 === 1 ? part : printable(part)))
        .join(''),
    )
    .join('\n');
}

/**
 * What a terminal does not show as it is: control characters (C0, C1), and those that change the direction or the form of what stands beside
 * them, or are not seen at all, so that a name could look like another one.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** Text from images, registries and hosts may hold control characters that would drive the terminal: they are shown as escapes. */
export function printable(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.codePointAt(0) ?? 0;
    // pathFromBytes keeps a byte that is not UTF-8 as U+DC00 + byte
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    if (code >= 0xd800 && code <= 0xdfff) return character;
    if (code > 0xff) return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
    return { 9: '\\t', 10: '\\n', 13: '\\r' }[code] ?? `\\x${code.toString(16).padStart(2, '0')}`;
  });
}

/** JSON that is shown on a terminal: the same value, with escapes for what {@link printable} escapes. */
export function printableJson(json: string): string {
  return json.replace(/[\u007f-\u009f\p{Cf}\u2028\u2029]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}
