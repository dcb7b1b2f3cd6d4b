/** A place in a text. Lines and columns count from 1; columns count UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Where something begins, and the last line that belongs to it. */
export interface Span extends Position {
  readonly endLine: number;
}

/** Text put together from pieces of the file: a line with its continuations, the content of a heredoc. */
export interface MappedText {
  readonly text: string;
  /** Where each stretch comes from, by rising offset; the first offset is 0. */
  readonly pieces: readonly Piece[];
}

export interface Piece extends Position {
  /** In the put-together text. */
  readonly offset: number;
}

/** Where the character at `offset` of the text stands in the file. */
export function positionAt({ pieces }: MappedText, offset: number): Position {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((pieces[middle]?.offset ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  const piece = pieces[low];
  if (piece === undefined) return { line: 1, column: 1 };
  return { line: piece.line, column: piece.column + offset - piece.offset };
}
