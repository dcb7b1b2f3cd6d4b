import { readFile, stat } from 'node:fs/promises';
import { errnoOf, messageOf, SlipwayError } from '../../../base/errors.js';
import { registerSecret } from '../../../base/redact.js';

/** Where the content of a secret is on this machine. */
export type SecretSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'env'; readonly name: string };

/** Of one secret, in bytes: BuildKit's limit. */
const MAX_SECRET = 500 * 1024;
/** Shorter lines of a secret are not taken out of what is printed: they would shred ordinary text. */
const LEAST_MASKED_LINE = 8;

/**
 * Reads `--secret id=NAME[,src=FILE|,env=VAR]` as docker does (buildx `--secret`; fields as in CSV, so that one may be quoted). With neither, the
 * variable called NAME, if there is one, else the file NAME.
 * @returns the id and its source
 * @throws SlipwayError E_USAGE
 */
export function parseSecretFlag(text: string, environment: NodeJS.ProcessEnv): readonly [string, SecretSource] {
  const wrong = (why: string): SlipwayError =>
    new SlipwayError('E_USAGE', `--secret ${text}: ${why}`, { hint: 'write id=NAME,src=FILE or id=NAME,env=VARIABLE' });
  const fields = new Map<string, string>();
  for (const field of csvFields(text)) {
    const equals = field.indexOf('=');
    const key = field.slice(0, equals === -1 ? undefined : equals).toLowerCase();
    const name = key === 'source' ? 'src' : key;
    if (!['id', 'src', 'env', 'type'].includes(name)) throw wrong(`there is no field ${JSON.stringify(key)}`);
    if (equals === -1 || equals === field.length - 1) throw wrong(`${key} has no value`);
    if (fields.has(name)) throw wrong(`${key} is given twice`);
    fields.set(name, field.slice(equals + 1));
  }
  const { id, src, env, type } = Object.fromEntries(fields);
  if (id === undefined) throw wrong('id=NAME is missing');
  if (type !== undefined && type !== 'file' && type !== 'env') throw wrong('type is file or env');
  if (src !== undefined && env !== undefined) throw wrong('src and env exclude each other');
  if (type === 'file' && env !== undefined) throw wrong('type=file and env exclude each other');
  const variable = env ?? (type === 'env' ? (src ?? id) : undefined);
  if (variable !== undefined) return [id, { kind: 'env', name: variable }];
  if (src === undefined && type === undefined && environment[id] !== undefined) return [id, { kind: 'env', name: id }];
  return [id, { kind: 'file', path: src ?? id }];
}

/**
 * The content of a secret. From now on it is taken out of everything that slipway prints.
 * @throws SlipwayError E_NOT_FOUND, E_PERMISSION, E_USAGE (larger than 500 KiB, no regular file)
 */
export async function readSecret(id: string, source: SecretSource): Promise<Buffer> {
  const content = source.kind === 'env' ? fromEnvironment(id, source.name) : await fromFile(id, source.path);
  checkSize(id, content.length);
  const text = content.toString('utf8').trim();
  registerSecret(text);
  for (const line of text.split('\n')) if (line.trim().length >= LEAST_MASKED_LINE) registerSecret(line.trim());
  return content;
}

function checkSize(id: string, size: number): void {
  if (size > MAX_SECRET)
    throw new SlipwayError('E_USAGE', `the secret ${id} has ${size} bytes, more than ${MAX_SECRET}`);
}

function fromEnvironment(id: string, name: string): Buffer {
  const value = process.env[name];
  if (value === undefined)
    throw new SlipwayError('E_NOT_FOUND', `the secret ${id}: the variable ${name} is not set`, {
      hint: `export ${name}, or give a file: --secret id=${id},src=FILE`,
    });
  return Buffer.from(value);
}

async function fromFile(id: string, path: string): Promise<Buffer> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new SlipwayError('E_USAGE', `the secret ${id}: ${path} is not a regular file`);
    checkSize(id, found.size);
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof SlipwayError) throw cause;
    const code = errnoOf(cause);
    throw new SlipwayError(
      code === 'ENOENT' || code === 'ENOTDIR' ? 'E_NOT_FOUND' : 'E_PERMISSION',
      `the secret ${id}: cannot read ${path}: ${code === 'ENOENT' ? 'no such file' : messageOf(cause)}`,
      { cause },
    );
  }
}

/** The fields of one line of CSV (RFC 4180): commas part them, quotes hold them together, a quote in quotes is doubled. */
function csvFields(text: string): string[] {
  const fields: string[] = [];
  for (const match of text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g))
    fields.push(match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'));
  return fields;
}
