import { redact, startedSecret } from '../../base/redact.js';
import type { OutputStream } from './sandbox-request.js';

/** A piece of a line longer than this is given out without waiting for its end. In bytes. */
const MAX_LINE = 16 * 1024;
/** What is kept of one line for the error. In characters. */
const MAX_KEPT = 1000;
const LINE_FEED = 0x0a;

export interface RunOutput {
  /** Takes the next bytes of a stream. */
  push(chunk: Uint8Array, stream: OutputStream): void;
  /** Gives out what came without a line end. */
  end(): void;
  /** The last lines of both streams in the order they came, without prefix, each cut to 1000 characters. */
  tail(): readonly string[];
}

/**
 * Turns the output of a command into lines with a prefix (`[2/5] downloading`). Everything is passed on as it is, colours
 * and control characters too; only the line ends are taken away, and secrets: where a line is cut, into pieces or for the error, half of
 * one would not be known any more. A line of any length costs at most 16 KiB of memory (and a secret): it is given out in pieces.
 * @param prefix put before every line, with a blank after it
 * @param emit is given each line, without its end
 * @param keep how many last lines {@link RunOutput.tail} remembers
 */
export function createRunOutput(
  prefix: string,
  emit: (line: string, stream: OutputStream) => void,
  keep = 20,
): RunOutput {
  const last: string[] = [];
  const take = (given: string, stream: OutputStream): void => {
    const text = redact(given);
    emit(prefix === '' ? text : `${prefix} ${text}`, stream);
    // A terminal shows what came after the last carriage return of a line: the end of a progress bar.
    const shown = text.slice(text.lastIndexOf('\r') + 1);
    last.push(shown.length > MAX_KEPT ? `${shown.slice(0, MAX_KEPT)}…` : shown);
    if (last.length > keep) last.shift();
  };
  const splitters = {
    stdout: lineSplitter((text) => take(text, 'stdout')),
    stderr: lineSplitter((text) => take(text, 'stderr')),
  };
  return {
    push: (chunk, stream) => splitters[stream].push(chunk),
    end: () => {
      splitters.stdout.end();
      splitters.stderr.end();
    },
    tail: () => [...last],
  };
}

function lineSplitter(emit: (text: string) => void): { push(chunk: Uint8Array): void; end(): void } {
  const decoder = new TextDecoder();
  let pieces: Uint8Array[] = [];
  let held = 0;
  /** Whether the line has been given out in part. */
  let begun = false;
  /** The end of the last piece, which may be the beginning of a secret. */
  let carried = '';
  /** Gives out what is held. At the end of a line all of it; before, a character cut in two waits for its rest. */
  const flush = (lineEnds: boolean): void => {
    let text = carried + decoder.decode(Buffer.concat(pieces), { stream: !lineEnds });
    carried = '';
    pieces = [];
    held = 0;
    if (!lineEnds) {
      text = redact(text);
      carried = text.slice(text.length - startedSecret(text));
      text = text.slice(0, text.length - carried.length);
    }
    if (text !== '' || (lineEnds && !begun)) emit(lineEnds && text.endsWith('\r') ? text.slice(0, -1) : text);
    begun = !lineEnds && (begun || text !== '');
  };
  return {
    push(chunk) {
      let start = 0;
      while (start < chunk.length) {
        const limit = Math.min(chunk.length, start + MAX_LINE - held);
        const found = chunk.subarray(start, limit).indexOf(LINE_FEED);
        const end = found === -1 ? limit : start + found;
        // Copied: the caller's chunk may be a view of a large buffer that would be held with it.
        pieces.push(Uint8Array.prototype.slice.call(chunk, start, end));
        held += end - start;
        if (found !== -1) flush(true);
        else if (held >= MAX_LINE) flush(false);
        start = found === -1 ? end : end + 1;
      }
    },
    end() {
      if (held > 0 || begun || carried !== '') flush(true);
    },
  };
}
