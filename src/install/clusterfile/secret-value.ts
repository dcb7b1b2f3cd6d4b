import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../../base/errors.js';
import { registerSecret } from '../../base/redact.js';
import type { SecretDocument } from './schema.js';

const VARIABLE = /\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** Where the values come from that a Clusterfile only points at. */
export interface ValueSources {
  /** The Clusterfile; relative paths in it begin in its directory. */
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A value, or why there is none. */
export type Resolved = { readonly value: string } | { readonly mistake: string };

/** What a secret is. It will not be shown in any message or log. */
export async function resolveSecret(secret: SecretDocument, sources: ValueSources): Promise<Resolved> {
  const resolved =
    typeof secret === 'string' ? fillVariables(secret, sources) : await secretInFile(secret.file, sources);
  if ('value' in resolved) registerSecret(resolved.value);
  return resolved;
}

/** Puts variables of this machine in the places of `${env:NAME}`. What comes from there may be a secret, and is treated as one. */
export function fillVariables(text: string, { environment }: ValueSources): Resolved {
  const missing: string[] = [];
  const value = text.replaceAll(VARIABLE, (_, name: string) => {
    const found = environment[name];
    if (found === undefined) missing.push(name);
    registerSecret(found);
    return found ?? '';
  });
  if (missing.length === 0) return { value };
  return { mistake: `there is no environment variable ${missing.join(', ')}` };
}

/** A path as the Clusterfile says it: from its own directory; `~` is the home directory. */
export function resolvePath(path: string, { file, environment }: ValueSources): string {
  const home = environment.HOME;
  return path.startsWith('~/') && home !== undefined ? resolve(home, path.slice(2)) : resolve(dirname(file), path);
}

async function secretInFile(path: string, sources: ValueSources): Promise<Resolved> {
  const file = resolvePath(path, sources);
  try {
    const text = await readFile(file, 'utf8');
    const [value = ''] = text.split(/\r?\n/, 1);
    return value === '' ? { mistake: `the first line of ${file} is empty` } : { value };
  } catch (error) {
    return { mistake: `${file} cannot be read: ${messageOf(error)}` };
  }
}
