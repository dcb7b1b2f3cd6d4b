import type { BaseInstruction } from '../ast.js';
import { readFlags } from '../flags.js';
import { bare, type StatementReader, shown } from '../statement-reader.js';
import { node } from './node.js';

const FORM = 'write BASE rootfs cache';

/** `BASE DIR cache`. */
export function parseBase(reader: StatementReader): BaseInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a directory and the word cache', FORM);
  const words = reader.words();
  if (words === undefined) return undefined;
  const [dir, verb, more] = words;
  if (dir === undefined || verb === undefined) return reader.missing('a directory and the word cache', FORM);
  if (verb.raw.toLowerCase() !== 'cache') return reader.problem(verb.start, `BASE cannot do ${shown(verb)}`, FORM);
  if (more !== undefined) return reader.problem(more.start, `BASE does not take ${shown(more)} here`, FORM);
  return { ...node('BASE', reader), dir: bare(dir), cache: true };
}
