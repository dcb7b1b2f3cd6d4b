import { type Document, isMap, isNode, isScalar, LineCounter, parseAllDocuments } from 'yaml';
import { SlipwayError } from '../../base/errors.js';

/** A larger file is no Clusterfile. */
const LARGEST = 4 * 1024 * 1024;

/** Where whoever wrote a Clusterfile reads on. */
const CLUSTERFILE_HINT = 'docs/clusterfile.md has every field; "slipway gen schema" prints the schema for an editor';

/** One document of a Clusterfile, which knows where everything in it was written. */
export interface YamlDocument {
  /** As JSON has it; a document that is no map is undefined. */
  readonly value: Readonly<Record<string, unknown>> | undefined;
  /**
   * `file:line:column` of what is at a path, or of the nearest thing above it. @param key the place of this key of the map at `path`.
   */
  place(path: readonly PropertyKey[], key?: string): string;
}

/**
 * Takes a file apart into its documents; empty ones are left out.
 * @param file its name, for errors and places.
 * @param hint of the error, when it is another file than a Clusterfile.
 * @throws SlipwayError E_CLUSTERFILE with the place of every mistake, when it is not YAML.
 */
export function readYamlDocuments(text: string, file: string, hint = CLUSTERFILE_HINT): readonly YamlDocument[] {
  if (text.length > LARGEST) throw new SlipwayError('E_CLUSTERFILE', `${file} has more than ${LARGEST} bytes`);
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  const mistakes = [...documents].flatMap(({ errors }) =>
    errors.map(({ message, pos }) => `${at(pos[0])}: ${message.split('\n', 1)[0]}`),
  );
  if (mistakes.length > 0) throw mistakesError(mistakes, hint);
  return [...documents].filter((document) => !isEmpty(document)).map((document) => yamlDocument(document, at));
}

/** One error for all mistakes of a Clusterfile, or of another file with its own `hint`; each of them begins with its place. */
export function mistakesError(mistakes: readonly string[], hint = CLUSTERFILE_HINT): SlipwayError {
  const sorted = [...mistakes].sort(byPlace);
  const [only = ''] = sorted;
  return new SlipwayError(
    'E_CLUSTERFILE',
    sorted.length === 1 ? only : `${sorted.length} mistakes:\n${sorted.map((one) => `  ${one}`).join('\n')}`,
    { hint },
  );
}

function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null);
}

function byPlace(a: string, b: string): number {
  const [fileA, lineA, columnA] = placeOf(a);
  const [fileB, lineB, columnB] = placeOf(b);
  if (fileA !== fileB) return fileA < fileB ? -1 : 1;
  return lineA - lineB || columnA - columnB;
}

function placeOf(mistake: string): readonly [file: string, line: number, column: number] {
  const [, file = '', line = '0', column = '0'] = /^(.*?):(\d+):(\d+): /.exec(mistake) ?? [];
  return [file, Number(line), Number(column)];
}

function yamlDocument(document: Document, at: (offset: number) => string): YamlDocument {
  const place = (path: readonly PropertyKey[], key?: string): string => {
    for (let length = path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
      if (length === path.length && key !== undefined && isMap(node)) {
        const pair = node.items.find((item) => isNode(item.key) && String(item.key) === key);
        if (isNode(pair?.key) && pair.key.range != null) return at(pair.key.range[0]);
      }
      if (isNode(node) && node.range != null) return at(node.range[0]);
    }
    return at(0);
  };
  return { value: mapIn(document, place), place };
}

function mapIn(
  document: Document,
  place: (path: readonly PropertyKey[]) => string,
): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Aliases that would fill the memory.
    throw mistakesError([`${place([])}: ${error instanceof Error ? error.message : String(error)}`]);
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}
