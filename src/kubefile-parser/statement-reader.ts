import type { Dialect, EscapeCharacter } from './ast.js';
import { skipBlanks, skipWord } from './blanks.js';
import type { LexedHeredoc } from './heredoc.js';
import { type JsonString, looksLikeJson, readJsonForm } from './json-form.js';
import type { Statement } from './lexer.js';
import type { CommandLine, Heredoc, Word } from './parts.js';
import { positionAt } from './position.js';
import type { Findings, WarningRule } from './problem.js';
import { quote } from './visible.js';
import type { WordPart } from './word-parts.js';
import { parseWord } from './word-syntax.js';

/** A word and where it stands in the statement's text. */
export interface PlacedWord extends Word {
  readonly start: number;
  readonly end: number;
}

/**
 * What the instruction parsers work with: one statement, the ways to read it, and where to leave findings. A way that gives
 * `undefined` has reported why.
 */
export class StatementReader {
  readonly escape: EscapeCharacter;
  readonly dialect: Dialect;
  /** Upper case. */
  readonly keyword: string;

  constructor(
    readonly statement: Statement,
    options: { readonly escape: EscapeCharacter; readonly dialect: Dialect },
    private readonly findings: Findings,
  ) {
    this.escape = options.escape;
    this.dialect = options.dialect;
    this.keyword = statement.keyword.toUpperCase();
  }

  /** Reports a mistake at an offset of the statement's text. */
  problem(offset: number, message: string, hint: string): undefined {
    this.findings.problem(positionAt(this.statement, offset), message, hint);
    return undefined;
  }

  warn(rule: WarningRule, offset: number, message: string, hint: string): void {
    this.findings.warn(rule, positionAt(this.statement, offset), message, hint);
  }

  /** Everything behind the flags. */
  get args(): string {
    return this.statement.text.slice(this.statement.argsStart, this.statement.argsEnd);
  }

  get isEmpty(): boolean {
    return this.statement.argsStart >= this.statement.argsEnd;
  }

  /** The stretch `[start, end)` of the text as a word. */
  place(start: number, end: number): PlacedWord {
    const { statement } = this;
    return { raw: statement.text.slice(start, end), position: positionAt(statement, start), start, end };
  }

  /** All of the arguments as one word, blanks included. */
  rest(): Word | undefined {
    return this.wordToEnd(this.statement.argsStart);
  }

  /** The arguments from `start` on as one word, blanks included. */
  wordToEnd(start: number): Word | undefined {
    const word = this.place(start, this.statement.argsEnd);
    return this.check(word.raw, start) ? bare(word) : undefined;
  }

  /**
   * The arguments from `from` on, parted at blanks; quotes and `${…}` hold together what is in them. Heredoc markers are left
   * out: they are in {@link heredocs}.
   */
  words(from = this.statement.argsStart): PlacedWord[] | undefined {
    const { text, argsEnd, heredocs } = this.statement;
    const words: PlacedWord[] = [];
    let sound = true;
    let heredoc = 0;
    for (let offset = skipBlanks(text, from, argsEnd); offset < argsEnd; offset = skipBlanks(text, offset, argsEnd)) {
      if (heredocs[heredoc]?.start === offset) {
        offset = heredocs[heredoc++]?.end ?? argsEnd;
        continue;
      }
      const { end, mistake } = parseWord(text, offset, { escape: this.escape, stopAtBlank: true });
      if (mistake !== undefined) {
        sound = false;
        this.problem(mistake.offset, mistake.message, mistake.hint);
        offset = mistake.unterminated ? argsEnd : skipWord(text, end, argsEnd);
        continue;
      }
      const word = this.place(offset, Math.min(end, argsEnd));
      if (word.raw === '#')
        this.warn('inline-comment', offset, 'this # does not begin a comment', 'a comment stands on a line of its own');
      words.push(word);
      offset = word.end;
    }
    return sound ? words : undefined;
  }

  /** The heredocs of COPY and ADD have their content checked (`expanded`): it is going to be expanded. */
  heredocs(expanded: boolean): Heredoc[] {
    return this.statement.heredocs.map((heredoc) => {
      if (expanded && heredoc.expand) this.checkContent(heredoc);
      const { name, expand, chomp, start, content } = heredoc;
      return { name, content: content.text, expand, chomp, position: positionAt(this.statement, start) };
    });
  }

  /**
   * The strings of the JSON form. `'none'` when the arguments are not JSON (with a warning when they look as if they were
   * meant to be, unless `warn` is false), `undefined` when they are an array of something else.
   */
  json(from = this.statement.argsStart, warn = true): readonly JsonString[] | 'none' | undefined {
    const { text, argsEnd } = this.statement;
    const form = readJsonForm(text, from, argsEnd);
    if (form === undefined) return 'none';
    if (form.kind === 'strings') return form.values;
    if (form.kind === 'not-strings')
      return this.problem(from, 'the JSON form may hold only strings', 'put every element into double quotes');
    if (warn && looksLikeJson(text.slice(from, argsEnd)))
      this.warn(
        'invalid-json',
        from,
        'this is not valid JSON, and is read as plain text',
        'the JSON form is ["a", "b"]: double quotes, commas between, none at the end',
      );
    return 'none';
  }

  /** The words of the JSON form, or else the arguments parted at blanks. */
  jsonOrWords(): PlacedWord[] | undefined {
    const json = this.statement.heredocs.length > 0 ? 'none' : this.json();
    if (json === undefined) return undefined;
    if (json === 'none') return this.words();
    const words = json.map(({ value, offset }) => ({ ...this.place(offset, offset), raw: this.protectQuotes(value) }));
    return words.every(({ raw, start }) => this.check(raw, start, false)) ? words : undefined;
  }

  /** The arguments as a command: JSON form, or text for the shell. Empty arguments are a mistake. */
  command(): CommandLine | undefined {
    if (this.isEmpty) return this.missingCommand();
    const json = this.json();
    if (json === undefined) return undefined;
    if (json === 'none') return { form: 'shell', text: this.args };
    return { form: 'exec', args: json.map(({ value }) => value) };
  }

  /** Reports that something is missing behind the last argument; the hint is what to write. */
  missing(what: string, hint: string): undefined {
    return this.problem(this.statement.start, `${this.keyword} needs ${what}`, hint);
  }

  missingCommand(): undefined {
    return this.missing('a command', `write ${this.keyword} COMMAND, or ${this.keyword} ["PROGRAM", "ARGUMENT"]`);
  }

  /** True when the word is well formed; otherwise it is reported at its place, or at `offset` when the text is not as written. */
  private check(raw: string, offset: number, asWritten = true): boolean {
    const { mistake } = parseWord(raw, 0, { escape: this.escape });
    if (mistake !== undefined)
      this.problem(asWritten ? offset + mistake.offset : offset, mistake.message, mistake.hint);
    return mistake === undefined;
  }

  private checkContent({ content }: LexedHeredoc): void {
    const { mistake } = parseWord(content.text, 0, { escape: '\\', mode: 'heredoc' });
    if (mistake === undefined) return;
    const hint = `${mistake.hint}; or quote the marker, <<"EOF", to leave the content as it is`;
    this.findings.problem(positionAt(content, mistake.offset), mistake.message, hint);
  }

  /** In JSON a quote is a character like any other, so it is kept from being one when the word is expanded. */
  private protectQuotes(value: string): string {
    let raw = '';
    for (let index = 0; index < value.length; index++) {
      const character = value[index] as string;
      if (character === this.escape) raw += character + (value[++index] ?? '');
      else raw += character === "'" || character === '"' ? this.escape + character : character;
    }
    return raw;
  }
}

/** A placed word as the syntax tree has it. */
export function bare({ raw, position }: Word): Word {
  return { raw, position };
}

/** The value of a word without variables; undefined when it has some, or is malformed. */
export function literalOf(raw: string, escapeCharacter: EscapeCharacter): string | undefined {
  const { parts, mistake } = parseWord(raw, 0, { escape: escapeCharacter });
  if (mistake !== undefined) return undefined;
  const texts = parts.map((part: WordPart) => (part.kind === 'text' ? part.text : undefined));
  return texts.includes(undefined) ? undefined : texts.join('');
}

/** For messages: the word as it stands there. */
export function shown(word: Word): string {
  return quote(word.raw);
}
