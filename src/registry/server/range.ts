/** A part of a body, both ends inclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The part that a Range header asks for (RFC 9110, 14.2). Several ranges, and anything that cannot be read, mean the whole body
 * (`undefined`), as the RFC allows; a range beyond the end is `unsatisfiable`.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [, from = '', to = ''] = match;
  if (from === '' && to === '') return undefined;
  if (from === '') {
    const length = Math.min(Number(to), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(from);
  const end = to === '' ? size - 1 : Math.min(Number(to), size - 1);
  const isReversed = to !== '' && Number(to) < start; // may be passed over or refused: as conformance has it
  return isReversed || start >= size ? 'unsatisfiable' : { start, end };
}

/** The `START-END` of a piece of an upload; distribution-spec, "Pushing a blob in chunks". Undefined when there is none to be read. */
export function parseContentRange(header: string | undefined): ByteRange | undefined {
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  return { start: Number(match[1]), end: Number(match[2]) };
}
