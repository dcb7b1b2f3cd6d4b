/** What the text of a JSON (exec) form turns out to be. */
export type JsonForm =
  | { readonly kind: 'strings'; readonly values: readonly JsonString[] }
  /** A JSON array with something else in it: an error, as in Docker. */
  | { readonly kind: 'not-strings' }
  /** Not JSON: shell form. */
  | { readonly kind: 'invalid' };

export interface JsonString {
  readonly value: string;
  /** Of its opening quote, in the text. */
  readonly offset: number;
}

/** Reads the stretch `[start, end)` of a text as a JSON array of strings; undefined when it does not begin with `[`. */
export function readJsonForm(text: string, start: number, end: number): JsonForm | undefined {
  if (text[start] !== '[') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.slice(start, end));
  } catch {
    return { kind: 'invalid' };
  }
  if (!Array.isArray(parsed)) return { kind: 'invalid' };
  const values: JsonString[] = [];
  let offset = start;
  for (const value of parsed as unknown[]) {
    if (typeof value !== 'string') return { kind: 'not-strings' };
    offset = text.indexOf('"', offset);
    values.push({ value, offset });
    offset = behindString(text, offset);
  }
  return { kind: 'strings', values };
}

/**
 * True when shell text that begins with `[` was probably meant as JSON: everything but the test command of the shell, `[ -f x ]`
 * or `[[ … ]]`, that has a blank behind the bracket and no commas behind quotes.
 */
export function looksLikeJson(text: string): boolean {
  return !/^\[\[?\s/.test(text) || /["']\s{0,9},/.test(text);
}

/** The offset behind the JSON string that begins at `start`; it is known to be well formed. */
function behindString(text: string, start: number): number {
  let offset = start + 1;
  while (text[offset] !== '"') offset += text[offset] === '\\' ? 2 : 1;
  return offset + 1;
}
