import type { PlacedWord, StatementReader } from './statement-reader.js';

/** One `key=value` of a mount. */
export interface MountField {
  /** Lower case. */
  readonly key: string;
  readonly start: number;
  /** Undefined when there is no `=`. */
  readonly value: PlacedWord | undefined;
}

/**
 * Parts the value of `--mount` at the commas that are not in quotes. Quotes around everything, or around a field as in CSV, are put
 * around the field's value, so that it stays one word.
 */
export function splitMountFields(reader: StatementReader, { raw, start, end }: PlacedWord): MountField[] {
  const around = enclosingQuote(raw);
  const last = around === '' ? end : end - 1;
  const fields: MountField[] = [];
  let from = around === '' ? start : start + 1;
  let open = '';
  for (let offset = from; offset < last; offset++) {
    const character = reader.statement.text[offset] ?? '';
    if (character === reader.escape && open !== "'" && around !== "'") offset++;
    else if (open !== '') open = character === open ? '' : open;
    else if (around === '' && (character === '"' || character === "'")) open = character;
    else if (character === ',') {
      fields.push(readField(reader, from, offset, around));
      from = offset + 1;
    }
  }
  return [...fields, readField(reader, from, last, around)];
}

function readField(reader: StatementReader, start: number, end: number, around: string): MountField {
  const text = reader.statement.text.slice(start, end);
  const quoted = around === '' ? enclosingQuote(text) : '';
  if (quoted !== '') return readField(reader, start + 1, end - 1, quoted);
  const equals = text.indexOf('=');
  if (equals < 0) return { key: text.toLowerCase(), start, value: undefined };
  const value = reader.place(start + equals + 1, end);
  return {
    key: text.slice(0, equals).toLowerCase(),
    start,
    value: around === '' ? value : { ...value, raw: around + value.raw + around },
  };
}

/** The quote character when one pair of quotes is around the whole text; otherwise "". */
function enclosingQuote(text: string): string {
  const quote = text[0] ?? '';
  if (quote !== '"' && quote !== "'") return '';
  return text.length > 1 && text.indexOf(quote, 1) === text.length - 1 ? quote : '';
}
