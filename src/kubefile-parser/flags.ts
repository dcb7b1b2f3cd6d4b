import { suggest } from '../base/suggest.js';
import type { Word } from './parts.js';
import { bare, literalOf, type PlacedWord, type StatementReader } from './statement-reader.js';
import { quote } from './visible.js';

/** The flags of an instruction: one word, several (the flag may be repeated), on or off, or one of a few words. */
export type FlagSpec = Readonly<Record<string, 'word' | 'words' | 'boolean' | readonly string[]>>;

/** What the flags of a spec are read into; what is not given is not there. */
export type FlagValues<Spec extends FlagSpec> = {
  readonly [Name in keyof Spec]?: Spec[Name] extends 'word'
    ? PlacedWord
    : Spec[Name] extends 'words'
      ? readonly PlacedWord[]
      : Spec[Name] extends 'boolean'
        ? boolean
        : Spec[Name] extends readonly (infer Choice)[]
          ? Choice
          : never;
};

/**
 * Reads the flags in front of the arguments. Unknown ones, ones given twice, missing values and wrong ones are reported;
 * the others are given.
 */
export function readFlags<const Spec extends FlagSpec>(reader: StatementReader, spec: Spec): FlagValues<Spec> {
  // Most instructions have none.
  if (reader.statement.flags.length === 0) return {};
  const values: Record<string, unknown> = {};
  const lists = new Map<string, PlacedWord[]>();
  for (const { start, end } of reader.statement.flags) {
    const text = reader.statement.text.slice(start, end);
    const equals = text.indexOf('=');
    const flag = equals < 0 ? text : text.slice(0, equals);
    const name = flag.slice(2);
    const type = Object.hasOwn(spec, name) ? spec[name] : undefined;
    const word = equals < 0 ? undefined : reader.place(start + equals + 1, end);
    if (type === undefined) reportUnknown(reader, start, flag, Object.keys(spec));
    else if (type !== 'words' && Object.hasOwn(values, name))
      reader.problem(start, `${flag} is given twice`, 'take one of the two away');
    else if (type === 'boolean') values[name] = readBoolean(reader, start, flag, word);
    else if (word === undefined || word.raw === '')
      reader.problem(start, `${flag} has no value`, `write ${flag}=VALUE, without blanks`);
    else if (type === 'word') values[name] = word;
    else if (type === 'words') {
      const list = lists.get(name) ?? [];
      list.push(word);
      lists.set(name, list);
    } else values[name] = readChoice(reader, flag, word, type);
  }
  return { ...values, ...Object.fromEntries(lists) } as FlagValues<Spec>;
}

/** The word of a flag as the syntax tree has it, under its name; nothing when the flag is not given. */
export function optional<Name extends string>(
  name: Name,
  word: PlacedWord | undefined,
): { readonly [Key in Name]?: Word } {
  return (word === undefined ? {} : { [name]: bare(word) }) as { readonly [Key in Name]?: Word };
}

function reportUnknown(reader: StatementReader, start: number, flag: string, names: readonly string[]): void {
  const near = suggest(flag.slice(2, 40), names);
  const all = names.map((name) => `--${name}`).join(' ');
  reader.problem(
    start,
    `${reader.keyword} has no flag ${quote(flag)}`,
    near !== undefined
      ? `did you mean --${near}?`
      : names.length > 0
        ? `its flags are ${all}`
        : `it has no flags; what begins with -- can follow the word --: ${reader.keyword} -- ${quote(flag).slice(1, -1)}`,
  );
}

function readBoolean(reader: StatementReader, start: number, flag: string, word: PlacedWord | undefined): boolean {
  const value = word === undefined ? 'true' : literalOf(word.raw, reader.escape)?.toLowerCase();
  if (value !== 'true' && value !== 'false')
    reader.problem(start, `${flag} is true or false, not ${quote(word?.raw ?? '')}`, `write ${flag} or ${flag}=false`);
  return value === 'true';
}

function readChoice(
  reader: StatementReader,
  flag: string,
  word: PlacedWord,
  choices: readonly string[],
): string | undefined {
  const value = literalOf(word.raw, reader.escape);
  if (value !== undefined && choices.includes(value)) return value;
  const near = suggest(value?.slice(0, 40) ?? '', choices);
  return reader.problem(
    word.start,
    `${flag} cannot be ${quote(word.raw)}`,
    near === undefined ? `it is one of ${choices.join(', ')}` : `did you mean ${flag}=${near}?`,
  );
}
