import { redact, startedSecret } from '../../base/redact.js';

/** Characters of the output of one command that a log takes from its beginning, and again from its end. */
const MOST = 2 * 1024 * 1024;
/** Of one line: more is no line for people. */
const LONGEST_LINE = 16 * 1024;

/**
 * The output of one command on its way to a log: line by line and without secrets, because a secret that is cut between two pieces could
 * not be found. A command that prints without end fills neither the disk nor the memory: of very much output the middle is left out, of
 * a very long line the end, and both are said.
 */
export class LogOutput {
  readonly #write: (line: string) => void;
  readonly #most: number;
  readonly #longest: number;
  #line = '';
  /** Characters of the line that are dropped. */
  #cut = 0;
  #written = 0;
  #tail: string[] = [];
  #tailLength = 0;
  #dropped = 0;

  /** @param limits characters, for tests. */
  constructor(
    write: (line: string) => void,
    { most = MOST, longestLine = LONGEST_LINE }: { readonly most?: number; readonly longestLine?: number } = {},
  ) {
    this.#write = write;
    this.#most = most;
    this.#longest = longestLine;
  }

  push(text: string): void {
    for (let from = 0; from < text.length; ) {
      const end = text.indexOf('\n', from);
      this.#add(text.slice(from, end < 0 ? text.length : end));
      if (end < 0) return;
      this.#endLine();
      from = end + 1;
    }
  }

  /** Gives what is left. */
  end(): void {
    if (this.#line !== '' || this.#cut > 0) this.#endLine();
    if (this.#dropped > 0) this.#write(`[… ${this.#dropped} characters left out …]`);
    for (const line of this.#tail) this.#write(redact(line));
    this.#tail = [];
  }

  #add(text: string): void {
    const room = Math.max(0, this.#longest - this.#line.length);
    this.#line += text.slice(0, room);
    this.#cut += Math.max(0, text.length - room);
  }

  #endLine(): void {
    const line = this.#cut === 0 ? this.#line : this.#cutLine();
    this.#line = '';
    this.#cut = 0;
    if (this.#written + line.length <= this.#most && this.#tail.length === 0 && this.#dropped === 0) {
      this.#written += line.length + 1;
      this.#write(redact(line));
      return;
    }
    this.#tail.push(line);
    this.#tailLength += line.length + 1;
    if (this.#tailLength > 2 * this.#most) this.#shorten();
  }

  /** A secret that begins where the line is cut would not be known. */
  #cutLine(): string {
    const kept = this.#line.slice(0, this.#line.length - startedSecret(this.#line));
    return `${kept} [… ${this.#cut + this.#line.length - kept.length} more characters]`;
  }

  /** Drops what is too much at once, not line by line: a list is not cheap to shorten at its beginning. */
  #shorten(): void {
    let drop = 0;
    while (this.#tailLength > this.#most) {
      const length = (this.#tail[drop]?.length ?? 0) + 1;
      this.#tailLength -= length;
      this.#dropped += length;
      drop++;
    }
    this.#tail = this.#tail.slice(drop);
  }
}
