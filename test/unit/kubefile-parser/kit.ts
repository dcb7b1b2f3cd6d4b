import type { Instruction, Kubefile } from '../../../src/kubefile-parser/ast.js';
import { parseKubefile, parseKubefileLenient } from '../../../src/kubefile-parser/parse.js';

/** Lines as a file. */
export function lines(...text: string[]): string {
  return `${text.join('\n')}\n`;
}

/** What is wrong with a file, each as `line:column message`. */
export function problemsOf(text: string | Uint8Array): string[] {
  return parseKubefileLenient(text, 'Kubefile').problems.map(
    ({ line, column, message }) => `${line}:${column} ${message}`,
  );
}

/** The warnings of a file without mistakes, each as `line:column rule`. */
export function warningsOf(text: string): string[] {
  return parseKubefile(text, 'Kubefile').warnings.map(({ line, column, rule }) => `${line}:${column} ${rule}`);
}

/** The first instruction of the given kind in a file without mistakes; `FROM scratch` is put in front when there is no FROM. */
export function instruction<Kind extends Instruction['kind']>(
  kind: Kind,
  text: string,
): Extract<Instruction, { kind: Kind }> {
  const hasFrom = /^FROM/im.test(text);
  const { stages } = parseKubefile(hasFrom ? text : `FROM scratch\n${text}`, 'Kubefile');
  for (const stage of stages)
    for (const node of stage.instructions) if (node.kind === kind) return node as Extract<Instruction, { kind: Kind }>;
  throw new Error(`there is no ${kind}`);
}

/** A syntax tree without what depends on the layout of the text. */
export function withoutLayout(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutLayout);
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([key]) => !LAYOUT.has(key));
  return Object.fromEntries(kept.map(([key, inner]) => [key, withoutLayout(inner)]));
}

const LAYOUT = new Set(['position', 'source', 'warnings', 'text', 'file']);

/** The raw text of words. */
export function raws(words: readonly { readonly raw: string }[]): string[] {
  return words.map(({ raw }) => raw);
}

export function parse(text: string | Uint8Array): Kubefile {
  return parseKubefile(text, 'Kubefile');
}
