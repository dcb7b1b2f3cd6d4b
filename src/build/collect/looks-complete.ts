import { parseReference } from '../../image/reference.js';
import { readImageName } from './found-image.js';

/**
 * Whether a text that may be anything is a container image beyond doubt: a name with a tag or a digest and a repository path or a host
 * (`example.com/web`, `team/web:1`, `web@sha256:…`). A bare word, a URL, a file name and `host:port` are not.
 */
export function looksComplete(text: string): boolean {
  const { reference } = readImageName(text);
  if (reference === undefined) return false;
  if (reference.digest !== undefined) return true;
  if (!text.includes('/')) return false;
  if (reference.host !== undefined && /[.:]/.test(reference.host))
    return !/\.(?:png|jpe?g|svg|gif|iso|qcow2|img|ya?ml|json)$/.test(text);
  return /:[^/]+$/.test(text) && parseReference(text).tag !== undefined;
}
