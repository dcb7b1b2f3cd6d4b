/**
 * JSON of a line in which strings were quoted by Go's `%q`: that has escapes which JSON has not. Pure.
 * Source: Go's strconv.Quote.
 */
export function goQuotedToJson(line: string): string {
  return line.replace(/\\(?:x([0-9a-f]{2})|U([0-9a-f]{8})|[\s\S])/g, (sequence, byte?: string, point?: string) => {
    if (byte !== undefined) return `\\u00${byte}`;
    if (point !== undefined) return JSON.stringify(String.fromCodePoint(Number.parseInt(point, 16))).slice(1, -1);
    if (sequence === '\\a') return '\\u0007';
    return sequence === '\\v' ? '\\u000b' : sequence;
  });
}
