import { addFound, type Findings } from './found-image.js';
import { looksComplete } from './looks-complete.js';
import type { YamlList } from './yaml-tree.js';

/**
 * Images in the arguments of a program: `--image=NAME`, `--sidecar-image NAME`, and any `--flag=NAME` whose value is beyond doubt an image with
 * host and tag.
 * @param what the list, for the place of what is found.
 */
export function argumentImages({ items }: YamlList, findings: Findings, what: string): void {
  /** The argument before was a flag for an image, without a value. */
  let expected = false;
  for (const [index, item] of items.entries()) {
    if (item.kind !== 'scalar' || typeof item.value !== 'string') continue;
    const text = item.value.trim();
    const place = { ...item.place, what: `${what}[${index}]` };
    const flag = /^--?([\w.-]+)(?:=(.*))?$/s.exec(text);
    const value = flag === null ? (expected ? text : undefined) : flag[2];
    const named: boolean = flag === null ? expected : /image/i.test(flag[1] ?? '');
    expected = flag !== null && flag[2] === undefined && named;
    if (value !== undefined && isImage(value, named)) addFound(findings, value, place);
  }
}

/** Images in environment variables: of a variable whose name says so, or beyond doubt an image with host and tag. */
export function environmentImages({ items }: YamlList, findings: Findings, what: string): void {
  for (const [index, item] of items.entries()) {
    if (item.kind !== 'map') continue;
    const name = item.entries.get('name');
    const value = item.entries.get('value');
    if (name?.kind !== 'scalar' || value?.kind !== 'scalar' || typeof value.value !== 'string') continue;
    const place = { ...value.place, what: `${what}[${index}]` };
    if (isImage(value.value.trim(), /image/i.test(String(name.value)))) addFound(findings, value.value.trim(), place);
  }
}

/** A value whose name says "image" must be a complete name; any other needs host, path and tag or digest. */
function isImage(text: string, named: boolean): boolean {
  if (!looksComplete(text)) return named && /^[\w.-]+:[\w][\w.-]*$/.test(text);
  return named || /^[\w-]+(?:\.[\w-]+)*(?:\.[a-z]{2,}|:\d+)\/.+(?::[\w.-]+|@sha256:[a-f0-9]{64})$/i.test(text);
}
