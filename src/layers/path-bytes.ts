import { isUtf8 } from 'node:buffer';

/** ES2024, which Node 20 has. False where there are lone surrogates: what bytes that are not UTF-8 have been turned into. */
const { isWellFormed } = String.prototype as unknown as { readonly isWellFormed: (this: string) => boolean };

/**
 * File names are bytes on Linux and strings in JavaScript. Valid UTF-8 becomes the string it spells; each byte that is part of no valid
 * sequence becomes the lone surrogate U+DC00 + byte (Python's surrogateescape, PEP 383), so that {@link pathToBytes} gives the same
 * bytes back.
 */
export function pathFromBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0));
      at += 1;
    } else {
      text += bytes.toString('utf8', at, at + length);
      at += length;
    }
  }
  return text;
}

/** The bytes of a path made by {@link pathFromBytes}. Surrogates that no byte can have made are written as U+FFFD. */
export function pathToBytes(path: string): Buffer {
  if (isWellFormed.call(path)) return Buffer.from(path, 'utf8');
  const pieces: Buffer[] = [];
  for (const character of path) {
    const code = character.codePointAt(0) ?? 0;
    pieces.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(pieces);
}

/** What to give to Node's fs functions for a path: the string itself, or its bytes when the string cannot spell them. */
export function fsPath(path: string): string | Buffer {
  return isWellFormed.call(path) ? path : pathToBytes(path);
}

/** The length of the well-formed UTF-8 sequence at `at` (RFC 3629), or 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0;
  const length =
    lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
