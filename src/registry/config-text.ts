import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml';
import * as z from 'zod';
import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import type { RegistryOptions } from './options.js';

const hosts = z.array(z.string().min(1)).optional();

const configSchema = z.strictObject({
  registries: z
    .strictObject({
      mirrors: z.record(z.string(), z.array(z.string().min(1)).min(1)).optional(),
      plainHttp: hosts,
      insecureSkipVerify: hosts,
    })
    .optional(),
});

/** What is allowed where, for people. */
const REGISTRIES = ['mirrors', 'plainHttp', 'insecureSkipVerify'];
const HOSTS = 'a list of hosts such as ["mirror.lan:5000"]';
const ALLOWED: Readonly<Record<string, string>> = {
  '': 'settings such as "registries:"',
  registries: `settings: ${REGISTRIES.join(', ')}`,
  'registries.mirrors': 'hosts with the mirrors of each, such as {docker.io: ["mirror.lan:5000"]}',
  'registries.plainHttp': HOSTS,
  'registries.insecureSkipVerify': HOSTS,
};

/** The part of {@link RegistryOptions} that the config file can give. */
export type RegistrySettings = Pick<RegistryOptions, 'mirrors'> & {
  readonly plainHttp?: readonly string[];
  readonly insecureSkipVerify?: readonly string[];
};

/**
 * @param text the config file, YAML. @param file its name, for errors.
 * @throws SlipwayError E_USAGE with file, line and column.
 */
export function parseRegistrySettings(text: string, file: string): RegistrySettings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [mistake] = document.errors;
  if (mistake !== undefined) {
    const { line, col } = lines.linePos(mistake.pos[0]);
    throw new SlipwayError('E_USAGE', `${file}:${line}:${col}: ${mistake.message.split('\n', 1)[0]}`, {
      hint: 'the config file is YAML',
    });
  }
  const parsed = configSchema.safeParse(document.toJS() ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const { path, key, message, hint } = mistakeOf(issue);
    const { line, col } = lines.linePos(offsetOf(document.contents, path, key));
    throw new SlipwayError('E_USAGE', `${file}:${line}:${col}: ${message}`, { hint });
  }
  const { mirrors, plainHttp, insecureSkipVerify } = parsed.data.registries ?? {};
  return {
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
    ...(insecureSkipVerify === undefined ? {} : { insecureSkipVerify }),
  };
}

interface Mistake {
  /** Of the value that is wrong, or that has the `key`. */
  readonly path: readonly string[];
  readonly key?: string;
  readonly message: string;
  readonly hint: string;
}

/** Where a value, or a key of it, stands in the text. */
function offsetOf(contents: unknown, path: readonly string[], key: string | undefined): number {
  let node = contents;
  for (const part of path) {
    const next = isMap(node) ? pairOf(node, part)?.value : isSeq(node) ? node.items[Number(part)] : undefined;
    if (!isNode(next)) break;
    node = next;
  }
  const at = key !== undefined && isMap(node) ? pairOf(node, key)?.key : node;
  return isNode(at) ? (at.range?.[0] ?? 0) : 0;
}

function pairOf({ items }: YAMLMap, name: string): Pair | undefined {
  return items.find((pair) => isScalar(pair.key) && String(pair.key.value) === name);
}

/** A mistake in the words of who wrote the file: what, where, and what is allowed there. */
function mistakeOf(issue: z.core.$ZodIssue | undefined): Mistake {
  const path = (issue?.path ?? []).map(String);
  const place = path.join('.');
  if (issue?.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    const known = place === '' ? ['registries'] : REGISTRIES;
    const near = suggest(key, known);
    return {
      path,
      key,
      message: `${place === '' ? '' : `${place}: `}there is no setting ${JSON.stringify(key)}`,
      hint: near === undefined ? `what can be set here: ${known.join(', ')}` : `did you mean ${near}?`,
    };
  }
  // A mirror, a list of them, or one of its entries is told by what holds it.
  const holders = Object.keys(ALLOWED).filter((each) => each === '' || place === each || place.startsWith(`${each}.`));
  const holder = holders.reduce((a, b) => (b.length > a.length ? b : a), '');
  return {
    path,
    message: `${place === '' ? 'this file' : place} is not what it should be`,
    hint: `${holder === '' ? 'it holds' : `${holder} takes`} ${ALLOWED[holder]}`,
  };
}
