import type { Span } from '../position.js';
import type { StatementReader } from '../statement-reader.js';

/** The fields that every instruction has. */
export function node<const Kind extends string>(
  kind: Kind,
  { statement }: StatementReader,
): { readonly kind: Kind; readonly position: Span; readonly source: string } {
  return { kind, position: statement.span, source: statement.text.slice(statement.start, statement.argsEnd) };
}
