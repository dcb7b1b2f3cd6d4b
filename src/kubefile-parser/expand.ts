import { SlipwayError } from '../base/errors.js';
import type { EscapeCharacter } from './ast.js';
import { isBlank } from './blanks.js';
import { findMatches, type GlobToken, literalTokens, patternTokens, trimPrefix, trimSuffix } from './glob.js';
import { quote } from './visible.js';
import type { Operation, TextPart, VariablePart, WordPart } from './word-parts.js';
import { parseWord, type WordMistake } from './word-syntax.js';

/** The value of a variable, undefined when it is not set. */
export type Environment = (name: string) => string | undefined;

export interface ExpandOptions {
  readonly escape: EscapeCharacter;
}

export interface Expansion {
  readonly value: string;
  /** Variables that became "" because they are not set; those with a default or an alternative do not count. */
  readonly undefinedNames: readonly string[];
}

export interface WordsExpansion {
  readonly values: readonly string[];
  readonly undefinedNames: readonly string[];
}

/** Characters and tokens a word may grow to: `ENV a=$a$a` repeated must not fill the memory. */
const LARGEST = 1 << 20;
/** Steps the patterns of a word may take: length of the value times length of the pattern. */
const DEAREST = 1 << 26;

/**
 * The value of a word: variables replaced, quotes and escapes taken away. It stays one word whatever the values hold, as
 * Docker has it for COPY, ENV, LABEL, ARG, WORKDIR and the others.
 * @throws SlipwayError E_KUBEFILE_SYNTAX when the word is malformed, when `${v:?message}` has no value, or when the result
 * grows beyond a million characters; `details.offset` counts from the beginning of the word.
 */
export function expandWord(word: string, env: Environment, options: ExpandOptions): Expansion {
  const parsed = parseWord(word, 0, options);
  if (parsed.mistake !== undefined) throw unreadable(word, parsed.mistake);
  const run = new Evaluation(word, env);
  return { value: run.text(parsed.parts), undefinedNames: run.undefinedNames() };
}

/**
 * The words a text becomes: blanks that are neither quoted nor escaped part words, also those that come out of a variable.
 * An empty word is dropped.
 * @throws SlipwayError as {@link expandWord}.
 */
export function expandToWords(text: string, env: Environment, options: ExpandOptions): WordsExpansion {
  const parsed = parseWord(text, 0, options);
  if (parsed.mistake !== undefined) throw unreadable(text, parsed.mistake);
  const run = new Evaluation(text, env);
  const values: string[] = [];
  let word = '';
  for (const part of parsed.parts) {
    const value = run.text([part]);
    if (part.quoted) {
      word += value;
      continue;
    }
    for (const character of value) {
      if (!isBlank(character) && character !== '\n') word += character;
      else if (word !== '') {
        values.push(word);
        word = '';
      }
    }
  }
  if (word !== '') values.push(word);
  return { values, undefinedNames: run.undefinedNames() };
}

/**
 * The content of a heredoc of COPY or ADD whose marker is not quoted: variables replaced; quotes are text, and `\` escapes
 * only `$`, `` ` ``, `\` and the end of a line, as in the shell (POSIX 2.7.4).
 * @throws SlipwayError as {@link expandWord}.
 */
export function expandHeredoc(content: string, env: Environment): Expansion {
  const parsed = parseWord(content, 0, { escape: '\\', mode: 'heredoc' });
  if (parsed.mistake !== undefined) throw unreadable(content, parsed.mistake);
  const run = new Evaluation(content, env);
  return { value: run.text(parsed.parts), undefinedNames: run.undefinedNames() };
}

function unreadable(word: string, { message, hint, offset }: WordMistake): SlipwayError {
  return new SlipwayError('E_KUBEFILE_SYNTAX', `cannot expand ${quote(word)}: ${message}`, {
    hint,
    details: { offset },
  });
}

/** One snapshot of the environment, and what was missing in it. */
class Evaluation {
  private readonly missing = new Set<string>();
  private cost = 0;

  constructor(
    private readonly source: string,
    private readonly env: Environment,
  ) {}

  undefinedNames(): string[] {
    return [...this.missing];
  }

  text(parts: readonly WordPart[]): string {
    let value = '';
    for (const part of parts) {
      value += part.kind === 'text' ? part.text : this.variable(part);
      if (value.length > LARGEST) throw this.failure(part, 'the value is longer than a million characters');
    }
    return value;
  }

  private variable(part: VariablePart): string {
    const value = this.env(part.name);
    const { operation } = part;
    if (operation === undefined) return value ?? this.undefinedValue(part);
    const usable = 'emptyIsUnset' in operation && operation.emptyIsUnset && value === '' ? undefined : value;
    switch (operation.kind) {
      case 'default':
        return usable ?? this.text(operation.word);
      case 'alternative':
        return usable === undefined ? '' : this.text(operation.word);
      case 'required':
        if (usable === undefined) throw this.required(part, value, this.text(operation.word));
        return usable;
      case 'trim': {
        const pattern = this.pattern(operation.pattern);
        const given = value ?? this.undefinedValue(part);
        this.checkCost(part, given, pattern);
        return (operation.side === 'prefix' ? trimPrefix : trimSuffix)(given, pattern, operation.longest);
      }
      case 'replace':
        return this.replace(part, operation, value ?? this.undefinedValue(part));
    }
  }

  private replace(part: VariablePart, operation: Operation & { kind: 'replace' }, value: string): string {
    const pattern = this.pattern(operation.pattern);
    const replacement = this.text(operation.replacement);
    this.checkCost(part, value, pattern);
    const characters = Array.from(value);
    const matches = findMatches(characters, pattern, operation.all);
    if (value.length + matches.length * replacement.length > LARGEST)
      throw this.failure(part, 'the value is longer than a million characters');
    let from = 0;
    let result = '';
    for (const [start, end] of matches) {
      result += characters.slice(from, start).join('') + replacement;
      from = end;
    }
    return result + characters.slice(from).join('');
  }

  /** Wildcards count in what is written plainly and in the values of variables, not in what is quoted. */
  private pattern(parts: readonly WordPart[]): GlobToken[] {
    return parts.flatMap((part: TextPart | VariablePart) => {
      const text = part.kind === 'text' ? part.text : this.variable(part);
      return part.quoted ? literalTokens(text) : patternTokens(text);
    });
  }

  private undefinedValue({ name }: VariablePart): string {
    this.missing.add(name);
    return '';
  }

  private checkCost(part: VariablePart, value: string, pattern: readonly GlobToken[]): void {
    this.cost += value.length * pattern.length;
    if (this.cost > DEAREST) throw this.failure(part, 'the value and the pattern are too long');
  }

  private required({ name, offset }: VariablePart, value: string | undefined, message: string): SlipwayError {
    const why = message === '' ? (value === undefined ? 'it is not set' : 'it is empty') : message;
    return new SlipwayError('E_KUBEFILE_SYNTAX', `${name} is required: ${why}`, {
      hint: `declare it with "ARG ${name}" and give it a value: --build-arg ${name}=…`,
      details: { offset, name },
    });
  }

  private failure({ offset }: { readonly offset?: number }, why: string): SlipwayError {
    return new SlipwayError('E_KUBEFILE_SYNTAX', `cannot expand ${quote(this.source)}: ${why}`, {
      hint: 'use a shorter value',
      details: { offset: offset ?? 0 },
    });
  }
}
