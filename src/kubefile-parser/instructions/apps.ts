import { suggest } from '../../base/suggest.js';
import type { AppCmdsInstruction, AppEnvInstruction, AppInstruction, KubeVersionInstruction } from '../ast.js';
import { skipBlanks } from '../blanks.js';
import { readFlags } from '../flags.js';
import { bare, type PlacedWord, type StatementReader, shown } from '../statement-reader.js';
import { parseWord } from '../word-syntax.js';
import { keyValues } from './key-values.js';
import { jsonOnly } from './launch.js';
import { node } from './node.js';

const SCHEMES = ['local', 'http', 'https', 'oci', 'helm'];

/** `APP NAME SOURCE…`, `CNI …` and `CSI …`, also as JSON. A source begins with a scheme, unless it begins with a variable. */
export function parseApp(reader: StatementReader): AppInstruction | undefined {
  readFlags(reader, {});
  const kind = reader.keyword === 'CNI' || reader.keyword === 'CSI' ? reader.keyword : 'APP';
  const form = `write ${kind} NAME local://PATH…`;
  if (reader.isEmpty) return reader.missing('a name and at least one source', form);
  const words = reader.jsonOrWords();
  if (words === undefined) return undefined;
  const [name, ...sources] = words;
  if (name === undefined || sources.length === 0) return reader.missing('a name and at least one source', form);
  if (/^[a-z]+:\/\//i.test(name.raw)) return reader.problem(name.start, `${shown(name)} is not a name`, form);
  const sound = sources.map((source) => checkScheme(reader, source));
  return sound.includes(false) ? undefined : { ...node(kind, reader), name: bare(name), sources: sources.map(bare) };
}

/** `APPCMDS NAME ["command", …]`. */
export function parseAppCmds(reader: StatementReader): AppCmdsInstruction | undefined {
  readFlags(reader, {});
  const form = 'write APPCMDS NAME ["command", "command"]';
  const name = readName(reader, form);
  if (name === undefined) return undefined;
  const commands = jsonOnly(reader, skipBlanks(reader.statement.text, name.end, reader.statement.argsEnd), form);
  return commands === undefined ? undefined : { ...node('APPCMDS', reader), name: bare(name), commands };
}

/** `APPENV NAME K=V…`. */
export function parseAppEnv(reader: StatementReader): AppEnvInstruction | undefined {
  readFlags(reader, {});
  const form = 'write APPENV NAME KEY=VALUE…';
  if (reader.isEmpty) return reader.missing('a name and at least one KEY=VALUE', form);
  const words = reader.words();
  if (words === undefined) return undefined;
  const [name, ...rest] = words;
  if (name === undefined || rest.length === 0) return reader.missing('a name and at least one KEY=VALUE', form);
  const pairs = keyValues(reader, rest);
  return pairs === undefined ? undefined : { ...node('APPENV', reader), name: bare(name), pairs };
}

/** `KUBEVERSION CONSTRAINT`: the rest of the line. */
export function parseKubeVersion(reader: StatementReader): KubeVersionInstruction | undefined {
  readFlags(reader, {});
  if (reader.isEmpty) return reader.missing('a version constraint', 'write KUBEVERSION >=1.24 <1.30');
  const constraint = reader.rest();
  return constraint === undefined ? undefined : { ...node('KUBEVERSION', reader), constraint };
}

/** The first word. */
function readName(reader: StatementReader, form: string): PlacedWord | undefined {
  const { text, argsStart, argsEnd } = reader.statement;
  if (reader.isEmpty) return reader.missing('the name of an application', form);
  const { end, mistake } = parseWord(text, argsStart, { escape: reader.escape, stopAtBlank: true });
  if (mistake !== undefined) return reader.problem(mistake.offset, mistake.message, mistake.hint);
  if (text[argsStart] === '[') return reader.problem(argsStart, 'the name of the application is missing', form);
  return reader.place(argsStart, Math.min(end, argsEnd));
}

function checkScheme(reader: StatementReader, source: PlacedWord): boolean {
  const { raw } = source;
  const scheme = /^["']?([a-z][a-z0-9+.-]{0,20}):\/\//i.exec(raw)?.[1]?.toLowerCase();
  if (scheme !== undefined && SCHEMES.includes(scheme)) return true;
  if (/^["']?\$/.test(raw)) return true;
  const near = scheme === undefined ? undefined : suggest(scheme, SCHEMES);
  reader.problem(
    source.start,
    `the source ${shown(source)} has no scheme that is known`,
    near !== undefined
      ? `did you mean ${near}://?`
      : scheme === undefined
        ? `a path in the context is local://${raw.length < 60 ? raw : 'PATH'}`
        : `the schemes are ${SCHEMES.map((known) => `${known}://`).join(' ')}`,
  );
  return false;
}
