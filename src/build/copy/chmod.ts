import { SlipwayError } from '../../base/errors.js';

/** The new permission bits of a file or directory that has `mode`. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

const CLAUSE = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/;
const ACTION = /([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g;
const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007 };

/**
 * Reads `--chmod`: octal up to 07777, which replaces all bits, or symbolic as chmod(1) has it (`u=rwX,go=rX`, `+x`, `g=u`). There is no umask:
 * `+x` means `a+x`.
 * @throws SlipwayError E_COPY when it is neither.
 */
export function parseChmod(text: string): ModeChange {
  if (/^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const clauses = text.split(',').map((clause) => CLAUSE.exec(clause));
  const steps: ModeChange[] = [];
  for (const clause of clauses) {
    if (clause === null) {
      throw new SlipwayError('E_COPY', `--chmod=${text} is no permission`, {
        hint: 'write it in octal (0644, 755, at most 7777), or as chmod does: u=rwX,go=rX',
      });
    }
    const [, who = '', actions = ''] = clause;
    for (const [, operator, what = ''] of actions.matchAll(ACTION)) {
      steps.push((mode, isDirectory) => change(mode, isDirectory, who, operator as '+' | '-' | '=', what));
    }
  }
  return (mode, isDirectory) => steps.reduce((now, step) => step(now, isDirectory), mode);
}

function change(mode: number, isDirectory: boolean, who: string, operator: '+' | '-' | '=', what: string): number {
  const all = who === '' || who.includes('a');
  const mask = all ? 0o7777 : Array.from(who).reduce((sum, letter) => sum | (WHO[letter] ?? 0), 0);
  const bits = bitsOf(what, mode, isDirectory) & mask;
  if (operator === '+') return mode | bits;
  if (operator === '-') return mode & ~bits;
  // As GNU chmod: "=" leaves the sticky bit, and the setuid and setgid bits of directories, unless they are named.
  const kept = isDirectory ? 0o7000 : 0;
  return (mode & ~(mask & ~kept)) | bits;
}

function bitsOf(what: string, mode: number, isDirectory: boolean): number {
  if (/^[ugo]$/.test(what)) {
    const shift = what === 'u' ? 6 : what === 'g' ? 3 : 0;
    const three = (mode >> shift) & 7;
    return (three << 6) | (three << 3) | three;
  }
  let bits = 0;
  for (const letter of what) {
    if (letter === 'r') bits |= 0o444;
    else if (letter === 'w') bits |= 0o222;
    else if (letter === 'x') bits |= 0o111;
    else if (letter === 'X' && (isDirectory || (mode & 0o111) !== 0)) bits |= 0o111;
    else if (letter === 's') bits |= 0o6000;
    else if (letter === 't') bits |= 0o1000;
  }
  return bits;
}
