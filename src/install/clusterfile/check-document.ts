import type * as z from 'zod';
import { suggest } from '../../base/suggest.js';
import type { YamlDocument } from './yaml-document.js';

/** What sealer's Clusterfiles know and this version does not do: told as that, and not as a slip of the pen. */
const NOT_YET: Readonly<Record<string, string>> = {
  encrypted: 'encrypted passwords are sealer\'s: give the password as "${env:NAME}" or { file: PATH }',
  preProcessor: '"preProcessor" of sealer\'s applications is not supported by this version',
  cmd_args: 'arguments of launch commands are not supported: write the commands in "cmd"',
};

/**
 * Checks a document.
 * @param mistakes takes a line for each mistake: `Clusterfile:7:5: spec.hosts.0.ip: unknown field; did you mean ips?`
 * @returns undefined when there are mistakes.
 */
export function checkDocument<T>(schema: z.ZodType<T>, document: YamlDocument, mistakes: string[]): T | undefined {
  const parsed = schema.safeParse(document.value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) mistakes.push(...issueLines(issue, document, schema));
  return undefined;
}

function issueLines(issue: z.core.$ZodIssue, document: YamlDocument, schema: z.ZodType): readonly string[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const where = `${document.place(issue.path, key)}: ${[...path, key].join('.')}`;
      const later = Object.hasOwn(NOT_YET, key) ? NOT_YET[key] : undefined;
      if (later !== undefined) return `${where}: ${later}`;
      const near = suggest(key, knownKeys(schema, issue.path));
      return `${where}: unknown field${near === undefined ? '' : `; did you mean ${near}?`}`;
    });
  }
  const name = path.length === 0 ? '' : `${path.join('.')}: `;
  return [`${document.place(issue.path)}: ${name}${messageOf(issue, document)}`];
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a map',
  record: 'a map',
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
};

function messageOf(issue: z.core.$ZodIssue, document: YamlDocument): string {
  if (issue.code === 'invalid_key') return 'not a name of a label';
  if (issue.code !== 'invalid_type') return issue.message;
  const given = issue.path.reduce<unknown>(
    (value, step) => (isRecord(value) ? value[String(step)] : undefined),
    document.value,
  );
  return given === undefined ? 'is missing' : `must be ${TYPES[issue.expected] ?? issue.expected}`;
}

/** The fields that the map at a path may have. */
function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let current: unknown = schema;
  for (const step of path)
    current = unwrap(typeof step === 'number' ? elementOf(current) : shapeOf(current)?.[String(step)]);
  return Object.keys(shapeOf(current) ?? {});
}

function shapeOf(schema: unknown): Readonly<Record<string, unknown>> | undefined {
  const inner = unwrap(schema);
  return isRecord(inner) && isRecord(inner.shape) ? inner.shape : undefined;
}

function elementOf(schema: unknown): unknown {
  const inner = unwrap(schema);
  return isRecord(inner) ? inner.element : undefined;
}

/** What an optional schema is of. */
function unwrap(schema: unknown): unknown {
  let current = schema;
  while (isRecord(current) && typeof current.unwrap === 'function' && !('element' in current) && !('shape' in current))
    current = current.unwrap();
  return current;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
