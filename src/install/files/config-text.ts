import { parseAllDocuments, stringify } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import { isObject, type JsonObject, mergeDocuments } from '../../runtime/kubernetes/merge.js';
import type { ConfigSpec } from '../spec/cluster-spec.js';

/** Names of Kubernetes objects. */
const OBJECT_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Whether what the image has in the place of a Config counts. */
export function needsBefore({ strategy, process = [] }: Pick<ConfigSpec, 'strategy' | 'process'>): boolean {
  return strategy === 'merge' || process.includes('toSecret');
}

/**
 * The file that a Config makes: its data processed, then laid over what is there. Pure.
 * Source: sealer, pkg/config: `value` lets what follows it work on each value of a map; `toSecret` puts the values into a Secret.
 * @param before what the image has in its place; undefined when nothing, or when it does not count.
 * @throws SlipwayError E_CLUSTERFILE
 */
export function configText(config: ConfigSpec, before: string | undefined): string {
  const data = processed(config);
  if (config.process?.includes('toSecret')) return secretText(config, data, before);
  return before === undefined ? data : merged(config, before, data);
}

/** An error about one Config. */
export function refused(path: string, why: string, hint?: string): SlipwayError {
  return new SlipwayError('E_CLUSTERFILE', `Config for ${path}: ${why}`, hint === undefined ? {} : { hint });
}

function processed({ path, data, process = [] }: ConfigSpec): string {
  let text = data;
  let each = false;
  for (const step of process) {
    if (step === 'value') each = true;
    else if (step === 'toJson')
      text = each ? eachValue(text, path, (value) => jsonOf(value)) : jsonOf(onlyValueOf(text, path));
    else if (step === 'toBase64')
      text = each ? eachValue(text, path, (value, key) => base64(textOf(value, path, key))) : base64(text);
  }
  return text;
}

function eachValue(text: string, path: string, change: (value: unknown, key: string) => string): string {
  const values = Object.entries(mapOf(text, path, 'its data', 'processed'));
  return stringify(Object.fromEntries(values.map(([key, value]) => [key, change(value, key)])), { lineWidth: 0 });
}

function textOf(value: unknown, path: string, key: string): string {
  if (typeof value === 'string') return value;
  throw refused(
    path,
    `its ${key} is no text`,
    isObject(value) || Array.isArray(value)
      ? 'write process: value|toJson|… to make JSON of it first'
      : 'write it in quotes',
  );
}

/** In one line, keys sorted, as sealer writes it. */
function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  );
}

function secretText({ path, name = '' }: ConfigSpec, data: string, before: string | undefined): string {
  if (before === undefined && !OBJECT_NAME.test(name))
    throw refused(
      path,
      `its name ${JSON.stringify(name)} cannot be that of a Secret`,
      'metadata.name: lower-case letters, digits and "-"',
    );
  const secret =
    before === undefined
      ? { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'Opaque' }
      : mapOf(before, path, 'what the image has there', 'made a Secret');
  if (secret.kind !== undefined && secret.kind !== 'Secret')
    throw refused(path, `what the image has there is a ${String(secret.kind)}, no Secret`);
  const values = Object.entries(mapOf(data, path, 'its data', 'put into a Secret'));
  const encoded = Object.fromEntries(values.map(([key, value]) => [key, base64(textOf(value, path, key))]));
  const there = isObject(secret.data) ? secret.data : {};
  return printed(path, [{ ...secret, data: { ...there, ...encoded } }]);
}

/** Over every document of a file, as in sealer. */
function merged({ path }: ConfigSpec, before: string, data: string): string {
  const over = mapOf(data, path, 'its data', 'merged');
  const documents = valuesOf(before, path, 'what the image has there', 'merged').filter((value) => value !== null);
  return printed(
    path,
    (documents.length === 0 ? [{}] : documents).map((value) => {
      if (!isObject(value)) throw refused(path, 'what the image has there is no map, and cannot be merged');
      return mergeDocuments(value, over);
    }),
  );
}

function printed(path: string, documents: readonly JsonObject[]): string {
  if (path.endsWith('.json')) return `${JSON.stringify(documents[0], null, 2)}\n`;
  return documents.map((value) => stringify(value)).join('---\n');
}

function mapOf(text: string, path: string, what: string, aim: string): JsonObject {
  const values = valuesOf(text, path, what, aim);
  if (values.length > 1) throw refused(path, `${what} has ${values.length} YAML documents, and cannot be ${aim}`);
  const value = values[0] ?? {};
  if (!isObject(value)) throw refused(path, `${what} is no map, and cannot be ${aim}`);
  return value;
}

function onlyValueOf(text: string, path: string): unknown {
  const values = valuesOf(text, path, 'its data', 'made JSON');
  if (values.length > 1) throw refused(path, `its data has ${values.length} YAML documents, and cannot be made JSON`);
  return values[0] ?? null;
}

function valuesOf(text: string, path: string, what: string, aim: string): readonly unknown[] {
  return [...parseAllDocuments(text, { prettyErrors: false, merge: true })].map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw refused(path, `${what} cannot be ${aim}: ${error.message.split('\n', 1)[0]}`);
    try {
      return (document.toJS() as unknown) ?? null;
    } catch (problem) {
      // Aliases that would fill the memory.
      throw refused(path, `${what} cannot be ${aim}: ${problem instanceof Error ? problem.message : String(problem)}`);
    }
  });
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
