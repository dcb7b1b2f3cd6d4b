import { addFound, type Findings } from './found-image.js';

/** A line of a template that says its image without any template language: `image: nginx:1.25`, `"image": "nginx:1.25",`. */
const LITERAL = /^\s*(?:-\s+)*(["']?)(image)\1\s*:\s*(["']?)([^\s"'{}[\]&*!|>]+)\3\s*,?\s*(?:#.*)?$/;

/**
 * Finds images in text that is no YAML (yet): templates, broken files. Only lines are looked at.
 * @param firstLine the line of the file that the text begins on.
 * @returns how many lines leave their image to a template.
 */
export function literalImages(
  text: string,
  file: string,
  findings: Findings,
  { firstLine = 1, what }: { readonly firstLine?: number; readonly what?: string | undefined } = {},
): number {
  let open = 0;
  for (const [index, line] of text.split('\n').entries()) {
    if (!/image/.test(line)) continue;
    const name = LITERAL.exec(line.replace(/\r$/, ''))?.[4];
    const place = { file, line: firstLine + index, what };
    if (name !== undefined) addFound(findings, name, place);
    else if (/^\s*(?:-\s+)*["']?image["']?\s*:.*\{\{/.test(line)) open++;
  }
  return open;
}
