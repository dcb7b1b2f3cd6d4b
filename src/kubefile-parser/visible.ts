const LONGEST_QUOTE = 60;

/** Takes away what would upset a terminal: control characters (a tab stays a tab) and the marks that reorder text. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g, '\ufffd');
}

/** A piece of the file for use inside a message: in quotes, short, nothing that upsets a terminal. */
export function quote(text: string): string {
  const short = text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text;
  return `"${visible(short)}"`;
}
