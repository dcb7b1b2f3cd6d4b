import type { ArgInstruction, EnvInstruction, LabelInstruction } from '../ast.js';
import { skipBlanks } from '../blanks.js';
import { readFlags } from '../flags.js';
import type { KeyValue, Word } from '../parts.js';
import { bare, type PlacedWord, type StatementReader, shown } from '../statement-reader.js';
import { parseWord } from '../word-syntax.js';
import { node } from './node.js';

/** `ENV K=V…`, or the old form `ENV K V` for one. */
export function parseEnv(reader: StatementReader): EnvInstruction | undefined {
  const pairs = parsePairs(reader);
  return pairs === undefined ? undefined : { ...node('ENV', reader), pairs };
}

/** `LABEL K=V…`, or the old form `LABEL K V` for one. */
export function parseLabel(reader: StatementReader): LabelInstruction | undefined {
  const pairs = parsePairs(reader);
  return pairs === undefined ? undefined : { ...node('LABEL', reader), pairs };
}

/** `ARG NAME[=default]…`. */
export function parseArg(reader: StatementReader): ArgInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a name', 'write ARG NAME or ARG NAME=DEFAULT');
  const words = reader.words();
  if (words === undefined) return undefined;
  const args: { readonly name: Word; readonly default?: Word }[] = [];
  for (const word of partAtCommas(reader, words)) {
    const equals = equalsIn(reader, word);
    const name = equals < 0 ? word : reader.place(word.start, equals);
    if (name.raw === '') return reader.problem(word.start, 'the name before = is missing', 'write ARG NAME=DEFAULT');
    args.push({ name: bare(name), ...(equals >= 0 && { default: bare(reader.place(equals + 1, word.end)) }) });
  }
  return { ...node('ARG', reader), args };
}

/** Every word as `key=value`. */
export function keyValues(reader: StatementReader, words: readonly PlacedWord[]): KeyValue[] | undefined {
  const pairs: KeyValue[] = [];
  for (const word of words) {
    const equals = equalsIn(reader, word);
    if (equals < 0)
      return reader.problem(
        word.start,
        `there is no = in ${shown(word)}`,
        'write NAME=VALUE; put quotes around a value with blanks',
      );
    if (equals === word.start) return reader.problem(word.start, 'the name before = is missing', 'write NAME=VALUE');
    pairs.push({ key: bare(reader.place(word.start, equals)), value: bare(reader.place(equals + 1, word.end)) });
  }
  return pairs;
}

function parsePairs(reader: StatementReader): KeyValue[] | undefined {
  readFlags(reader, {});
  const form = `write ${reader.keyword} NAME=VALUE`;
  if (reader.isEmpty) return reader.missing('a name and a value', form);
  const { text, argsStart, argsEnd } = reader.statement;
  const first = parseWord(text, argsStart, { escape: reader.escape, stopAtBlank: true });
  const firstEnd = Math.min(first.end, argsEnd);
  if (first.mistake !== undefined || text.slice(argsStart, firstEnd).includes('=')) {
    const words = reader.words();
    return words === undefined ? undefined : keyValues(reader, words);
  }
  const valueStart = skipBlanks(text, firstEnd, argsEnd);
  if (valueStart >= argsEnd) return reader.missing('a value', form);
  const value = reader.wordToEnd(valueStart);
  return value === undefined ? undefined : [{ key: bare(reader.place(argsStart, firstEnd)), value }];
}

/** The offset of the first `=` that is neither quoted nor part of a substitution; -1 when there is none. */
function equalsIn(reader: StatementReader, { raw, start }: PlacedWord): number {
  const first = raw.indexOf('=');
  if (first < 0) return -1;
  if (!/[$'"\\`]/.test(raw.slice(0, first))) return start + first;
  for (const part of parseWord(raw, 0, { escape: reader.escape }).parts) {
    if (part.kind === 'text' && !part.quoted && part.text.includes('='))
      return start + part.offset + part.text.indexOf('=');
  }
  return -1;
}

/**
 * sealer before 0.9 read `ARG a=1,b=2` as two arguments. In the Kubefile dialect that is done, with a warning, when it
 * cannot well be anything else: every part is a plain name and a value without `=`, and nothing is quoted. Docker's reading, one
 * value with commas, is had with quotes or with `# dialect=docker`.
 */
function partAtCommas(reader: StatementReader, words: readonly PlacedWord[]): PlacedWord[] {
  if (reader.dialect === 'docker') return [...words];
  return words.flatMap((word, index) => {
    const parts = splitAtCommas(word.raw, index < words.length - 1);
    if (parts === undefined) return [word];
    reader.warn(
      'comma-separated-arg',
      word.start,
      `${shown(word)} is read as several arguments, as sealer did`,
      'part arguments with blanks; put quotes around a value that has commas',
    );
    let start = word.start;
    return parts.map((part) => {
      const placed = reader.place(start, start + part.length);
      start += part.length + 1;
      return placed;
    });
  });
}

/** `a=1,b=2`; and `a=1,` when another word follows. */
function splitAtCommas(raw: string, more: boolean): string[] | undefined {
  if (!raw.includes(',') || /["'\\`{]/.test(raw)) return undefined;
  const parts = raw.split(',');
  if (more && parts.length > 1 && parts.at(-1) === '') parts.pop();
  return parts.every((part) => /^[A-Za-z][A-Za-z0-9_]*=[^=]*$/.test(part)) ? parts : undefined;
}
