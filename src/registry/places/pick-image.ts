import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { sameName } from '../../image/reference.js';
import type { ImageSet } from '../archive/image-set.js';
import type { FoundImage } from '../archive/layout-index.js';

/** Names that an error lists. */
const MOST_LISTED = 20;

/**
 * The image that a name means in a layout or an archive: its name as it is written there or as an image name with what is implied
 * (`x` is `docker.io/library/x:latest`); `@INDEX` and `@DIGEST` for one without a name; the only one without any.
 * @throws SlipwayError E_NOT_FOUND, and E_USAGE when several are meant, with a list of what there is.
 */
export function pickImage({ images, label }: ImageSet, name: string | undefined): FoundImage {
  const matches = name === undefined ? images : matching(images, name);
  const [first] = matches;
  const shown = images.map(displayName);
  const listed = shown.slice(0, MOST_LISTED).join(', ') + (shown.length > MOST_LISTED ? ' …' : '');
  if (first === undefined) {
    if (name === undefined) throw new SlipwayError('E_NOT_FOUND', `there is no image in ${label}`);
    const near = suggest(name, shown);
    throw new SlipwayError('E_NOT_FOUND', `there is no image ${name} in ${label}`, {
      hint: near === undefined ? `it has ${listed || 'none'}` : `did you mean ${near}? It has ${listed}`,
    });
  }
  if (matches.every(({ descriptor }) => descriptor.digest === first.descriptor.digest)) return first;
  throw new SlipwayError(
    'E_USAGE',
    `${label} has ${matches.length} images${name === undefined ? '' : ` named ${name}`}`,
    {
      hint: `say which: :NAME, or :@N for the Nth from 0: ${listed}`,
      details: { images: shown },
    },
  );
}

/** As it can be asked for. */
function displayName({ name }: FoundImage, index: number): string {
  return name ?? `@${index}`;
}

function matching(images: readonly FoundImage[], name: string): readonly FoundImage[] {
  if (name.startsWith('@')) {
    const wanted = name.slice(1);
    return images.filter(({ descriptor }, index) => wanted === String(index) || wanted === descriptor.digest);
  }
  for (const same of [(a: string) => a === name, (a: string) => sameName(a, name)]) {
    const found = images.filter(({ names }) => names.some(same));
    if (found.length > 0) return found;
  }
  return [];
}
