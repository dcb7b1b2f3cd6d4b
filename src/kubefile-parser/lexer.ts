import type { Directives, EscapeCharacter } from './ast.js';
import { skipBlanks, skipWord, trimBlanks } from './blanks.js';
import type { DecodedText } from './decode.js';
import { readDirectives, warnMisplaced } from './directives.js';
import {
  findInCommand,
  findInWords,
  HeredocEnds,
  type HeredocMarker,
  heredocContent,
  type LexedHeredoc,
} from './heredoc.js';
import { readJsonForm } from './json-form.js';
import { isIgnored, takesHeredocs } from './keywords.js';
import { type MappedText, type Piece, positionAt, type Span } from './position.js';
import type { Findings } from './problem.js';
import { quote } from './visible.js';
import { parseWord, type WordMistake } from './word-syntax.js';

/** One instruction as text: continuations joined, comment lines dropped; keyword, flags and arguments told apart. */
export interface Statement extends MappedText {
  /** As written. */
  readonly keyword: string;
  /** Offset of the keyword. */
  readonly start: number;
  readonly flags: readonly RawFlag[];
  /** `[argsStart, argsEnd)` is what follows keyword and flags, without blanks around it. */
  readonly argsStart: number;
  readonly argsEnd: number;
  readonly heredocs: readonly LexedHeredoc[];
  readonly span: Span;
  /** Something in it is already reported, and reading on would only repeat it. */
  readonly broken: boolean;
}

/** `--name` or `--name=value`, by offsets. */
export interface RawFlag {
  readonly start: number;
  readonly end: number;
}

/**
 * Takes a file apart into directives and statements. Knows nothing of what an instruction means beyond two things: which
 * ones have heredocs, and that flags stand before arguments.
 */
export function lex(
  source: DecodedText,
  findings: Findings,
): { readonly directives: Directives; readonly statements: readonly Statement[] } {
  const { directives, count } = readDirectives(source.lines, findings);
  const lexer = new Lexer(source, directives.escape, findings);
  return { directives, statements: lexer.statements(count) };
}

interface JoinedLine extends MappedText {
  /** Index behind the last line of the file that belongs to it. */
  readonly next: number;
}

class Lexer {
  private ends: HeredocEnds | undefined;

  constructor(
    private readonly source: DecodedText,
    private readonly escapeCharacter: EscapeCharacter,
    private readonly findings: Findings,
  ) {}

  statements(from: number): Statement[] {
    const { lines } = this.source;
    const statements: Statement[] = [];
    for (let index = from; index < lines.length; ) {
      const line = lines[index] ?? '';
      const content = line.trimStart();
      if (content === '' || content.startsWith('#')) {
        if (content !== '') warnMisplaced(line, index + 1, this.findings);
        index++;
        continue;
      }
      const joined = this.join(index);
      index = joined.next;
      if (joined.text.trim() === '') continue;
      const { statement, next } = this.statement(joined);
      statements.push(statement);
      index = next;
    }
    return statements;
  }

  /** Joins a line with those that continue it. */
  private join(from: number): JoinedLine {
    const { lines } = this.source;
    const first = lines[from] ?? '';
    if (continuationAt(first, this.escapeCharacter) === undefined) {
      const text = first.trimStart();
      return { text, pieces: [{ offset: 0, line: from + 1, column: first.length - text.length + 1 }], next: from + 1 };
    }
    const texts: string[] = [];
    const pieces: Piece[] = [];
    let length = 0;
    let warned = false;
    for (let index = from; index < lines.length; index++) {
      const line = lines[index] ?? '';
      const content = line.trimStart();
      if (index > from && content.startsWith('#')) continue;
      if (index > from && content === '') {
        if (!warned)
          this.findings.warn(
            'empty-continuation',
            { line: index + 1, column: 1 },
            'an empty line inside an instruction that goes on',
            `take the empty line away, or the ${this.escapeCharacter} before it`,
          );
        warned = true;
        continue;
      }
      const lead = index === from ? line.length - content.length : 0;
      const end = continuationAt(line, this.escapeCharacter);
      const text = line.slice(lead, end);
      texts.push(text);
      pieces.push({ offset: length, line: index + 1, column: lead + 1 });
      length += text.length;
      if (end === undefined) return { text: texts.join(''), pieces, next: index + 1 };
    }
    const last = pieces.at(-1) ?? { line: from + 1 };
    this.findings.warn(
      'unfinished-continuation',
      { line: last.line, column: trimBlanks(lines[last.line - 1] ?? '', 0) },
      `the last instruction ends with ${this.escapeCharacter}, and nothing follows`,
      `take the ${this.escapeCharacter} away`,
    );
    return { text: texts.join(''), pieces, next: lines.length };
  }

  private statement(joined: JoinedLine): { readonly statement: Statement; readonly next: number } {
    const { text, pieces } = joined;
    const start = text.length - text.trimStart().length;
    const end = text.trimEnd().length;
    const keywordEnd = skipWord(text, start, end);
    const keyword = text.slice(start, keywordEnd);
    const head = this.flags(joined, keyword, keywordEnd, end);
    if (head.mistake !== undefined)
      this.findings.problem(positionAt(joined, head.mistake.offset), head.mistake.message, head.mistake.hint);
    const markers =
      head.mistake === undefined ? markersOf(text.slice(0, end), keyword, head.argsStart, this.escapeCharacter) : [];
    const content = this.heredocs(joined, markers);
    const position = positionAt(joined, start);
    let broken = head.mistake !== undefined || content.broken;
    for (let line = position.line; line <= content.next && !broken; line++) broken = this.source.broken.has(line);
    const statement: Statement = {
      text,
      pieces,
      keyword,
      start,
      flags: head.flags,
      argsStart: head.argsStart,
      argsEnd: end,
      heredocs: content.heredocs,
      span: { line: position.line, column: position.column, endLine: content.next },
      broken,
    };
    return { statement, next: content.next };
  }

  /** The flags behind the keyword, up to the first word that does not begin with `--`, or up to the word `--` (POSIX 12.2, guideline 10). */
  private flags(
    { text }: MappedText,
    keyword: string,
    from: number,
    end: number,
  ): { readonly flags: RawFlag[]; readonly argsStart: number; readonly mistake?: WordMistake } {
    const flags: RawFlag[] = [];
    let offset = skipBlanks(text, from, end);
    while (text.startsWith('--', offset) && offset < end && !isIgnored(keyword.toUpperCase())) {
      const word = parseWord(text, offset, { escape: this.escapeCharacter, stopAtBlank: true });
      if (word.mistake !== undefined) return { flags, argsStart: end, mistake: word.mistake };
      const start = offset;
      const wordEnd = Math.min(word.end, end);
      offset = skipBlanks(text, wordEnd, end);
      if (wordEnd - start === 2) break;
      flags.push({ start, end: wordEnd });
    }
    return { flags, argsStart: offset };
  }

  /** Reads the content of the heredocs, one after the other. */
  private heredocs(
    joined: JoinedLine,
    markers: readonly HeredocMarker[],
  ): { readonly heredocs: LexedHeredoc[]; readonly next: number; readonly broken: boolean } {
    const { lines } = this.source;
    const heredocs: LexedHeredoc[] = [];
    let next = joined.next;
    for (const marker of markers) {
      this.ends ??= new HeredocEnds(lines);
      const end = this.ends.find(marker, next);
      if (end === undefined)
        return { heredocs, next: this.unterminated(joined, marker, next, this.ends), broken: true };
      heredocs.push({ ...marker, content: heredocContent(lines, next, end, marker.chomp) });
      next = end + 1;
    }
    return { heredocs, next, broken: false };
  }

  /** Reports a heredoc without an end, and gives the index of the line to go on with. */
  private unterminated(joined: JoinedLine, marker: HeredocMarker, from: number, ends: HeredocEnds): number {
    const { name, chomp, start } = marker;
    const near = ends.findNear(marker, from);
    this.findings.problem(
      positionAt(joined, start),
      `the heredoc ${quote(name)} has no end`,
      near === undefined
        ? `a line that holds only ${quote(name)} ends it`
        : `line ${near + 1} has blanks around ${quote(name)}${chomp ? '' : '; <<- allows tabs before it'}`,
    );
    return near === undefined ? this.source.lines.length : near + 1;
  }
}

/** Where the line ends when it goes on: at the escape character that only blanks follow and that is not itself escaped. */
export function continuationAt(line: string, escapeCharacter: EscapeCharacter): number | undefined {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  return line[end - 1] === escapeCharacter && line[end - 2] !== escapeCharacter ? end - 1 : undefined;
}

function markersOf(
  text: string,
  keyword: string,
  argsStart: number,
  escapeCharacter: EscapeCharacter,
): HeredocMarker[] {
  if (!text.includes('<<', argsStart)) return [];
  let owner = keyword.toUpperCase();
  let from = argsStart;
  if (owner === 'ONBUILD') {
    from = skipWord(text, argsStart);
    owner = text.slice(argsStart, from).toUpperCase();
    from = skipBlanks(text, from);
  }
  if (!takesHeredocs(owner) || readJsonForm(text, from, text.length)?.kind === 'strings') return [];
  return owner === 'RUN' ? findInCommand(text, from) : findInWords(text, from, escapeCharacter);
}
