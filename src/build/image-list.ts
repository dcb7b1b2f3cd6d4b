import { SlipwayError } from '../base/errors.js';
import { canonicalName, parseReference, type Reference } from '../image/reference.js';

/** One line of an image list. */
export interface ListedImage {
  readonly reference: Reference;
  /** Where it was written, for messages: `manifests/imageList:3`. */
  readonly where: string;
}

/**
 * Reads an image list: one image a line, `#` comments (whole lines, or behind a blank), blank lines. An image named twice counts once.
 * @param file how the list is called in messages.
 * @throws SlipwayError E_INVALID_REFERENCE that lists every bad line.
 */
export function parseImageList(text: string, file: string): ListedImage[] {
  const images = new Map<string, ListedImage>();
  const problems: string[] = [];
  for (const [index, line] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const name = line.replace(/(?:^|\s)#.*$/, '').trim();
    if (name === '') continue;
    const where = `${file}:${index + 1}`;
    try {
      const reference = parseReference(name);
      const key = canonicalName(reference);
      if (!images.has(key)) images.set(key, { reference, where });
    } catch (error) {
      problems.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (problems.length > 0)
    throw new SlipwayError('E_INVALID_REFERENCE', problems.join('\n'), {
      hint: 'an image list has one image name a line',
    });
  return [...images.values()];
}
