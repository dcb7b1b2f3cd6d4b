import { StringDecoder } from 'node:string_decoder';

/** Characters kept of the beginning, and again of the end, of what a command prints. */
export const KEPT_OUTPUT = 1024 * 1024;

/** Small pieces of output are joined up to this many characters. */
const PIECE = 64 * 1024;

/** Keeps the first and the last part of a text of any length, in bounded memory. */
export class BoundedText {
  readonly #limit: number;
  #head = '';
  #tail: string[] = [];
  #tailLength = 0;
  #dropped = 0;

  /** @param limit characters kept of the beginning, and again of the end */
  constructor(limit: number = KEPT_OUTPUT) {
    this.#limit = limit;
  }

  push(text: string): void {
    const room = this.#limit - this.#head.length;
    if (room > 0) this.#head += text.slice(0, room);
    const rest = room > 0 ? text.slice(room) : text;
    if (rest === '') return;
    const last = this.#tail.at(-1);
    if (last !== undefined && last.length < PIECE) this.#tail[this.#tail.length - 1] = last + rest;
    else this.#tail.push(rest);
    this.#tailLength += rest.length;
    // whole pieces only: at most one piece more than the limit is held
    let first = this.#tail[0];
    while (first !== undefined && this.#tailLength - first.length >= this.#limit) {
      this.#tail.shift();
      this.#tailLength -= first.length;
      this.#dropped += first.length;
      first = this.#tail[0];
    }
  }

  /** The text; when its middle was dropped, a line in its place says how much. */
  text(): string {
    const tail = this.#tail.join('');
    const extra = Math.max(0, tail.length - this.#limit);
    const dropped = this.#dropped + extra;
    return dropped === 0
      ? this.#head + tail
      : `${this.#head}\n[… ${dropped} characters dropped …]\n${tail.slice(extra)}`;
  }
}

/** The last lines that a command printed, whichever stream they came by, in the order they came. */
export class LastLines {
  readonly #most: number;
  readonly #open = new Map<string, string>();
  #lines: string[] = [];

  constructor(most = 20) {
    this.#most = most;
  }

  push(text: string, stream: string): void {
    const lines = ((this.#open.get(stream) ?? '') + text).split('\n');
    this.#open.set(stream, (lines.pop() ?? '').slice(-4000));
    for (const line of lines.slice(-this.#most)) this.#lines.push(line);
    this.#lines = this.#lines.slice(-this.#most);
  }

  /** The lines, each at most 400 characters, without blank ones at the end. */
  lines(): string[] {
    const unfinished = [...this.#open.values()].filter((line) => line !== '');
    const text = [...this.#lines, ...unfinished].join('\n').trimEnd();
    if (text === '') return [];
    return text
      .split('\n')
      .slice(-this.#most)
      .map((line) => (line.length > 400 ? `${line.slice(0, 399)}…` : line.trimEnd()));
  }
}

/** Bytes to text piece by piece: a character cut by the border of two pieces comes whole with the second. */
export function textDecoder(onText: (text: string) => void): { push(chunk: Buffer): void; end(): void } {
  const decoder = new StringDecoder('utf8');
  const give = (text: string): void => {
    if (text !== '') onText(text);
  };
  return { push: (chunk) => give(decoder.write(chunk)), end: () => give(decoder.end()) };
}
