import { isAlias, isMap, isScalar, isSeq, LineCounter, type ParsedNode, parseDocument } from 'yaml';
import { SlipwayError } from '../../base/errors.js';

/** A YAML value that knows where it was written. Nodes may be shared (aliases), and even hold themselves. */
export type YamlTree = YamlMap | YamlList | YamlScalar;

export interface YamlMap {
  readonly kind: 'map';
  readonly place: YamlPlace;
  /** In the order of the text; merge keys (`<<`) resolved. */
  readonly entries: ReadonlyMap<string, YamlTree>;
}
export interface YamlList {
  readonly kind: 'list';
  readonly place: YamlPlace;
  readonly items: readonly YamlTree[];
}
export interface YamlScalar {
  readonly kind: 'scalar';
  readonly place: YamlPlace;
  readonly value: unknown;
}
export interface YamlPlace {
  readonly file: string;
  readonly line: number;
}

/** A document of a YAML stream. */
export interface YamlText {
  readonly text: string;
  /** The line of the stream that it begins on, from 1. */
  readonly line: number;
}

/**
 * Bytes of one document. A parsed document takes a hundred times its text in memory, and Kubernetes takes no object over 1.5 MiB
 * (etcd's limit for a request).
 */
export const DOCUMENT_LIMIT = 2 * 1024 * 1024;
/** Levels of nesting. The parser calls itself for each; a few thousand end the process. */
const DEPTH_LIMIT = 300;
/** Keys of one document that are copied by merge keys: a map that many others merge would fill the memory. */
const MERGE_LIMIT = 200_000;

/**
 * Takes a stream apart into its documents, without parsing it: a line that begins with `---` ends a document wherever it stands, also inside a
 * block of text (YAML 1.2.2, 9.1.2 and the rule c-forbidden).
 */
export function splitDocuments(text: string): YamlText[] {
  const documents: YamlText[] = [];
  const clean = text.replace(/^\uFEFF/, '');
  let from = 0;
  let line = 1;
  const separator = /^---(?=\s|$)/gm;
  for (let match = separator.exec(clean); match !== null; match = separator.exec(clean)) {
    const piece = clean.slice(from, match.index);
    if (piece.trim() !== '') documents.push({ text: piece, line });
    line += countLines(piece);
    from = match.index;
  }
  const last = clean.slice(from);
  if (last.trim() !== '') documents.push({ text: last, line });
  return documents;
}

/**
 * Parses one document.
 * @throws SlipwayError E_UNSUPPORTED, its message beginning with `file:line:column`, when it is no YAML, or larger or deeper than is read.
 */
export function parseYamlTree({ text, line }: YamlText, file: string): YamlTree | undefined {
  if (Buffer.byteLength(text) > DOCUMENT_LIMIT)
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${file}:${line}: a document of over ${DOCUMENT_LIMIT} bytes is not parsed`,
    );
  if (isDeeperThan(text, DEPTH_LIMIT))
    throw new SlipwayError('E_UNSUPPORTED', `${file}:${line}: a document of over ${DEPTH_LIMIT} levels is not parsed`);
  const lines = new LineCounter();
  // Unique keys are searched for one by one in each map; a document that repeats a key is kubectl's business.
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false, merge: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const at = lines.linePos(error.pos[0]);
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `${file}:${line + at.line - 1}:${at.col}: not valid YAML: ${error.message}`,
    );
  }
  return document.contents === null ? undefined : convert(document.contents, file, line, lines);
}

function convert(root: ParsedNode, file: string, firstLine: number, lines: LineCounter): YamlTree | undefined {
  // An alias means the last node before it that has the anchor (YAML 1.2.2, 3.2.2.2): the walk is in the order of the text.
  const anchors = new Map<string, YamlTree>();
  let copied = 0;
  const visit = (node: unknown): YamlTree | undefined => {
    if (isAlias(node)) return anchors.get(node.source);
    const place = { file, line: firstLine + lineOf(node, lines) - 1 };
    const name = (tree: YamlTree, anchor: string | undefined): YamlTree => {
      if (anchor !== undefined) anchors.set(anchor, tree);
      return tree;
    };
    if (isScalar(node)) return name({ kind: 'scalar', place, value: node.value }, node.anchor);
    if (isSeq(node)) {
      const items: YamlTree[] = [];
      const list = name({ kind: 'list', place, items }, node.anchor);
      for (const item of node.items) {
        const tree = visit(item);
        if (tree !== undefined) items.push(tree);
      }
      return list;
    }
    if (!isMap(node)) return undefined;
    const entries = new Map<string, YamlTree>();
    const map = name({ kind: 'map', place, entries }, node.anchor);
    const merged: YamlTree[] = [];
    for (const { key, value } of node.items) {
      const keyTree = visit(key);
      const tree = visit(value);
      if (keyTree?.kind !== 'scalar' || tree === undefined) continue;
      const text = String(keyTree.value);
      if (text === '<<' && tree.kind !== 'scalar')
        for (const item of tree.kind === 'list' ? tree.items : [tree]) merged.push(item);
      else entries.set(text, tree);
    }
    for (const other of merged) {
      if (other.kind !== 'map') continue;
      copied += other.entries.size;
      if (copied > MERGE_LIMIT)
        throw new SlipwayError('E_UNSUPPORTED', `${file}:${place.line}: more than ${MERGE_LIMIT} keys come by "<<"`);
      for (const [key, tree] of other.entries) if (!entries.has(key)) entries.set(key, tree);
    }
    return map;
  };
  return visit(root);
}

function lineOf(node: unknown, lines: LineCounter): number {
  const range = typeof node === 'object' && node !== null && 'range' in node ? node.range : undefined;
  return Array.isArray(range) && typeof range[0] === 'number' ? Math.max(1, lines.linePos(range[0]).line) : 1;
}

/** An upper bound of the nesting, from brackets and indentation alone; text in which they are only text may be taken for deeper than it is. */
function isDeeperThan(text: string, limit: number): boolean {
  const indents: number[] = [];
  let brackets = 0;
  for (const line of text.split('\n')) {
    const lead = /^[ \t]*(?:[-?] +)*/.exec(line)?.[0] ?? '';
    if (line.trim() === '') continue;
    const indent = lead.search(/[^ \t]|$/);
    while ((indents.at(-1) ?? -1) >= indent) indents.pop();
    indents.push(indent);
    const dashes = lead.replace(/[^-?]/g, '').length;
    for (const character of line) {
      if (character === '[' || character === '{') brackets++;
      else if ((character === ']' || character === '}') && brackets > 0) brackets--;
      if (brackets > limit) return true;
    }
    if (indents.length + dashes + brackets > limit) return true;
  }
  return false;
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}
