import type { EscapeCharacter } from './ast.js';
import { behind, isBlank } from './blanks.js';
import { quote } from './visible.js';
import type { Operation, TextPart, WordPart } from './word-parts.js';

export interface WordOptions {
  readonly escape: EscapeCharacter;
  /** `word`: quotes count. `heredoc`: they are text, and `\` escapes only `$`, `` ` ``, `\` and the end of a line (POSIX 2.7.4). */
  readonly mode?: 'word' | 'heredoc';
  /** Stop at a blank that is not quoted; otherwise the word goes on to the end of the text. */
  readonly stopAtBlank?: boolean;
}

/** Why a word cannot be read. */
export interface WordMistake {
  readonly offset: number;
  readonly message: string;
  readonly hint: string;
  /** The rest of the text was looked through in vain for a closing quote or brace. */
  readonly unterminated: boolean;
}

export interface ParsedWord {
  readonly parts: readonly WordPart[];
  /** Behind the word, or behind where the mistake was noticed. */
  readonly end: number;
  readonly mistake?: WordMistake;
}

/**
 * Reads one word from `start`: text, `'…'`, `"…"`, escapes, `$v` and the forms of `${v…}`. The rules are those of
 * BuildKit's shell lexer, except that a blank inside `${…}` does not end a word. Takes time in proportion to the text.
 */
export function parseWord(text: string, start: number, options: WordOptions): ParsedWord {
  // Most words have nothing special in them.
  if (options.stopAtBlank === true && options.mode === undefined) {
    const end = behind(plainText(options.escape, true, 'blank'), text, start);
    if (end === text.length || isBlank(text[end]))
      return {
        parts: end === start ? [] : [{ kind: 'text', text: text.slice(start, end), offset: start, quoted: false }],
        end,
      };
  }
  const reader = new WordReader(text, start, options);
  try {
    return { parts: reader.read(options.stopAtBlank === true ? 'blank' : 'end', 'word'), end: reader.position };
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    const { offset, message, hint, unterminated } = error;
    return { parts: [], end: reader.position, mistake: { offset, message, hint, unterminated } };
  }
}

const DEEPEST = 50;
const NOT_CLOSED = 'the closing } is missing';
const FORMS =
  'the forms are ${v} ${v:-d} ${v-d} ${v:+a} ${v+a} ${v:?m} ${v?m} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r}';

type Stop = 'end' | 'blank' | '}' | '/';
/** What an escape does differs: gone in a word, makes a character literal in a pattern, stays in a replacement (as in BuildKit). */
type Role = 'word' | 'pattern' | 'replacement';

class Mistake extends Error {
  constructor(
    readonly offset: number,
    message: string,
    readonly hint: string,
    readonly unterminated: boolean,
  ) {
    super(message);
  }
}

class WordReader {
  private depth = 0;
  /** Whether the last `read` met its stop character. */
  private closed = false;
  private readonly quotes: boolean;
  private readonly escape: string;

  constructor(
    private readonly text: string,
    public position: number,
    options: WordOptions,
  ) {
    this.quotes = options.mode !== 'heredoc';
    this.escape = this.quotes ? options.escape : '\\';
  }

  /** Reads up to `stop`; a `}` or `/` is read over, a blank is not. */
  read(stop: Stop, role: Role): WordPart[] {
    const parts: WordPart[] = [];
    while (this.position < this.text.length) {
      const character = this.text[this.position] as string;
      if (stop === 'blank' && isBlank(character)) return parts;
      if (character === stop) {
        this.position++;
        this.closed = true;
        return parts;
      }
      if (stop === '/' && character === '}')
        throw this.mistake(
          this.position,
          'a "/" is missing before this "}"',
          'write ${v/pattern/replacement}; ${v/pattern/} deletes',
        );
      if (character === '$') parts.push(this.dollar(false));
      else if (character === this.escape) this.escaped(parts, role);
      else if (this.quotes && character === "'") parts.push(this.singleQuoted());
      else if (this.quotes && character === '"') this.doubleQuoted(parts);
      else parts.push(this.plain(stop));
    }
    this.closed = false;
    return parts;
  }

  /** The characters up to the next one that means something. */
  private plain(stop: Stop): TextPart {
    const start = this.position;
    this.position = behind(plainText(this.escape, this.quotes, stop), this.text, start + 1);
    return { kind: 'text', text: this.text.slice(start, this.position), offset: start, quoted: false };
  }

  private escaped(parts: WordPart[], role: Role): void {
    const start = this.position;
    const next = this.text.slice(start + 1, start + 1 + widthAt(this.text, start + 1));
    this.position += 1 + next.length;
    if (!this.quotes) {
      const counts =
        next === '$' || next === '`' || next === '\\' || (this.depth > 0 && (next === '}' || next === '/'));
      if (next === '\n') return;
      parts.push({ kind: 'text', text: counts ? next : `\\${next}`, offset: start, quoted: true });
    } else if (role === 'replacement')
      parts.push({ kind: 'text', text: this.escape + next, offset: start, quoted: true });
    else if (next !== '') parts.push({ kind: 'text', text: next, offset: start, quoted: true });
  }

  private singleQuoted(): TextPart {
    const start = this.position;
    const end = this.text.indexOf("'", start + 1);
    if (end < 0)
      throw this.unterminated(
        start,
        "the closing ' is missing",
        `close the quote, or write ${this.escape}' for the character itself`,
      );
    this.position = end + 1;
    return { kind: 'text', text: this.text.slice(start + 1, end), offset: start, quoted: true };
  }

  private doubleQuoted(parts: WordPart[]): void {
    const open = this.position++;
    // An empty pair of quotes is a part as well: it makes a word where there would be none.
    let start = this.position;
    const flush = (): void => {
      if (this.position > start || start === open + 1)
        parts.push({ kind: 'text', text: this.text.slice(start, this.position), offset: start, quoted: true });
    };
    while (this.position < this.text.length) {
      const character = this.text[this.position] as string;
      if (character === '"') {
        flush();
        this.position++;
        return;
      }
      if (character === '$') {
        flush();
        parts.push(this.dollar(true));
        start = this.position;
      } else if (character === this.escape && this.escapesInQuotes(this.text[this.position + 1])) {
        flush();
        start = this.position + 1;
        this.position += 2;
      } else this.position++;
    }
    throw this.unterminated(
      open,
      'the closing " is missing',
      `close the quote, or write ${this.escape}" for the character itself`,
    );
  }

  private escapesInQuotes(character: string | undefined): boolean {
    return character === '"' || character === '$' || character === this.escape;
  }

  private dollar(quoted: boolean): WordPart {
    const offset = this.position++;
    if (this.text[this.position] !== '{') {
      const name = this.name();
      return name === '' ? { kind: 'text', text: '$', offset, quoted } : { kind: 'variable', name, offset, quoted };
    }
    this.position++;
    if (++this.depth > DEEPEST)
      throw this.mistake(
        offset,
        `more than ${DEEPEST} substitutions inside one another`,
        'give the inner ones a name with ARG',
      );
    const name = this.name();
    if (name === '') {
      if (this.position >= this.text.length) throw this.unclosed(offset);
      throw this.mistake(
        offset,
        `bad substitution ${quote(this.text.slice(offset, this.position + 1))}: no name`,
        FORMS,
      );
    }
    const operation = this.operation(offset);
    this.depth--;
    return { kind: 'variable', name, offset, quoted, ...(operation !== undefined && { operation }) };
  }

  /** What stands between the name and the closing brace, which is read over. */
  private operation(offset: number): Operation | undefined {
    const sign = this.text[this.position++];
    switch (sign) {
      case undefined:
        throw this.unclosed(offset);
      case '}':
        return undefined;
      case ':':
      case '-':
      case '+':
      case '?': {
        const emptyIsUnset = sign === ':';
        const verb = emptyIsUnset ? this.text[this.position++] : sign;
        const kind = verb === '-' ? 'default' : verb === '+' ? 'alternative' : verb === '?' ? 'required' : undefined;
        if (kind === undefined) throw verb === undefined ? this.unclosed(offset) : this.badModifier(`:${verb}`, offset);
        return { kind, emptyIsUnset, word: this.inner('}', 'word', offset) };
      }
      case '#':
      case '%': {
        const longest = this.skip(sign);
        const pattern = this.inner('}', 'pattern', offset);
        return { kind: 'trim', side: sign === '#' ? 'prefix' : 'suffix', longest, pattern };
      }
      case '/': {
        const all = this.skip('/');
        const pattern = this.inner('/', 'pattern', offset);
        return { kind: 'replace', all, pattern, replacement: this.inner('}', 'replacement', offset) };
      }
      default:
        throw isBlank(sign) ? this.mistake(offset, NOT_CLOSED, this.dollarHint()) : this.badModifier(sign, offset);
    }
  }

  private inner(stop: '}' | '/', role: Role, offset: number): WordPart[] {
    const parts = this.read(stop, role);
    if (!this.closed) throw this.unclosed(offset);
    return parts;
  }

  private skip(character: string): boolean {
    if (this.text[this.position] !== character) return false;
    this.position++;
    return true;
  }

  /** Letters, digits and `_`; a number; or one of the shell's special parameters, which are never set here. */
  private name(): string {
    const start = this.position;
    const first = this.text[start] ?? '';
    if ('@*#?-$!'.includes(first) && first !== '') return this.text.slice(start, ++this.position);
    this.position = behind(ASCII_NAME, this.text, start);
    // Only a name that goes on in another script is read character by character.
    if (this.position > start && !(this.text.charCodeAt(this.position) > 0x7f))
      return this.text.slice(start, this.position);
    this.position = start;
    const digits = /[0-9]/.test(first);
    for (;;) {
      const width = widthAt(this.text, this.position);
      const character = this.text.slice(this.position, this.position + width);
      if (!(digits ? /^[0-9]$/ : /^[\p{L}\p{Nd}_]$/u).test(character)) return this.text.slice(start, this.position);
      this.position += width;
    }
  }

  private badModifier(modifier: string, offset: number): Mistake {
    const hint =
      modifier === '=' || modifier === ':=' ? 'a variable cannot be set here; ${v:-d} gives a default' : FORMS;
    return this.mistake(
      offset,
      `bad substitution ${quote(this.text.slice(offset, this.position))}: unknown modifier ${quote(modifier)}`,
      hint,
    );
  }

  private unclosed(offset: number): Mistake {
    return this.unterminated(offset, NOT_CLOSED, this.dollarHint());
  }

  private dollarHint(): string {
    return `write ${this.escape}$ for a dollar sign itself`;
  }

  private mistake(offset: number, message: string, hint: string): Mistake {
    return new Mistake(offset, message, hint, false);
  }

  private unterminated(offset: number, message: string, hint: string): Mistake {
    this.position = this.text.length;
    return new Mistake(offset, message, hint, true);
  }
}

/** A number, or a name of ASCII letters, as far as it goes. */
const ASCII_NAME = /[0-9]+|[A-Za-z_][A-Za-z0-9_]*/y;

const plainTexts = new Map<string, RegExp>();

/** What means nothing special up to `stop`, as a sticky pattern. */
function plainText(escapeCharacter: string, quotes: boolean, stop: Stop): RegExp {
  const key = `${escapeCharacter}${quotes}${stop}`;
  let pattern = plainTexts.get(key);
  if (pattern === undefined) {
    const stops = { end: '', blank: ' \\t\\r\\v\\f', '}': '}', '/': '/}' }[stop];
    pattern = new RegExp(`[^$\\${escapeCharacter}${quotes ? `'"` : ''}${stops}]*`, 'y');
    plainTexts.set(key, pattern);
  }
  return pattern;
}

/** UTF-16 units of the character at `offset`: 2 for a surrogate pair, 0 at the end. */
function widthAt(text: string, offset: number): number {
  const code = text.codePointAt(offset);
  return code === undefined ? 0 : code > 0xffff ? 2 : 1;
}
