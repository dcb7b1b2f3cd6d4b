import { isIP } from 'node:net';
import { SlipwayError } from '../../base/errors.js';
import { normalizeIp } from '../spec/ip-list.js';

/** RFC 1123, and one label that stands for any. */
const HOST_NAME =
  /^(?=.{1,253}$)(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** A host name or address in the form in which certificates have it. */
export function certificateName(name: string): string {
  return normalizeIp(name) ?? name.toLowerCase();
}

/**
 * Host names and addresses as they are given with a flag: separated by commas or blanks, each once, in the form in which certificates have them.
 * @throws SlipwayError E_USAGE
 */
export function readAltNames(text: string): readonly string[] {
  const mistakes: string[] = [];
  const names = text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .map((part) => {
      const name = certificateName(part);
      // `10.0.0.300` is a host name by its letters, and nobody means one.
      if (isIP(name) === 0 && (!HOST_NAME.test(name) || /^[\d.]+$/.test(name)))
        mistakes.push(`${JSON.stringify(part)} is neither a host name nor an IP address`);
      return name;
    });
  if (mistakes.length === 0 && names.length === 0) mistakes.push('no name is given');
  if (mistakes.length > 0) {
    throw new SlipwayError('E_USAGE', `--alt-names: ${mistakes.join('; ')}`, {
      hint: 'slipway cert --alt-names api.example.com,203.0.113.7',
    });
  }
  return [...new Set(names)];
}
