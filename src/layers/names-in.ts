import { readdirSync } from 'node:fs';
import { fsPath, pathFromBytes } from './path-bytes.js';

/**
 * The names in a directory, in no order, spelt as {@link pathFromBytes} does. Only a directory with names that are not UTF-8 is read a
 * second time, as bytes.
 */
export function namesIn(dir: string): string[] {
  const names = readdirSync(fsPath(dir));
  if (!names.some((name) => name.includes('\ufffd'))) return names;
  return readdirSync(fsPath(dir), { encoding: 'buffer' }).map(pathFromBytes);
}
