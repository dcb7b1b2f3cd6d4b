import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { parseReference } from '../../image/reference.js';

/** Where a cache is stored, and how much of it. */
export interface CacheTarget {
  /** An image name. */
  readonly name: string;
  /** `min`: what made the layers of the image; `max`: every stage that was built. */
  readonly mode: 'min' | 'max';
}

/** @throws SlipwayError E_USAGE, E_INVALID_REFERENCE */
export function parseCacheFrom(text: string): string {
  return fieldsOf(text, '--cache-from', ['type', 'ref']).ref;
}

/** @throws SlipwayError E_USAGE, E_INVALID_REFERENCE */
export function parseCacheTo(text: string): CacheTarget {
  const { ref, rest } = fieldsOf(text, '--cache-to', ['type', 'ref', 'mode']);
  const mode = rest.get('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max') throw new SlipwayError('E_USAGE', `--cache-to ${text}: mode is min or max`);
  return { name: ref, mode };
}

/** `type=registry,ref=NAME,…` as docker's buildx has it, or a name alone. */
function fieldsOf(
  text: string,
  flag: string,
  known: readonly string[],
): { readonly ref: string; readonly rest: ReadonlyMap<string, string> } {
  const fields = new Map<string, string>();
  if (text.includes('=')) {
    const type = /(?:^|,)type=([^,]*)/.exec(text)?.[1] ?? 'registry';
    // before the options, which are those of another type
    if (type !== 'registry')
      throw new SlipwayError('E_USAGE', `${flag} ${text}: caches of type ${JSON.stringify(type)} are not known`, {
        hint: `write ${flag} type=registry,ref=NAME`,
      });
    for (const part of text.split(',')) {
      const equals = part.indexOf('=');
      const name = part.slice(0, Math.max(0, equals));
      if (!known.includes(name)) {
        const near = suggest(name, known);
        throw new SlipwayError('E_USAGE', `${flag} ${text}: unknown option ${JSON.stringify(name || part)}`, {
          hint: near === undefined ? `options: ${known.join(', ')}` : `did you mean ${near}?`,
        });
      }
      fields.set(name, part.slice(equals + 1));
    }
  } else fields.set('ref', text);
  const ref = fields.get('ref') ?? '';
  if (ref === '') throw new SlipwayError('E_USAGE', `${flag} ${text}: ref is missing`, { hint: 'ref=HOST/NAME:TAG' });
  const { digest, name } = parseReference(ref);
  if (flag === '--cache-to' && digest !== undefined)
    throw new SlipwayError('E_USAGE', `${flag} ${text}: a cache is stored under a tag, not under a digest`);
  return { ref: digest === undefined ? name : ref, rest: fields };
}
