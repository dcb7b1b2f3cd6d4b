import { messageOf, SlipwayError } from '../../base/errors.js';
import { type Platform, parsePlatform } from '../../image/platform.js';
import { type FoundImage, readImageName } from './found-image.js';

/**
 * Reads an image list: one image a line, `#` comments (whole lines, or behind a blank), blank lines, quotes around a name (as sealer takes
 * them). Behind a name may stand the platforms it is for: `example.com/agent:v1-arm64 linux/arm64,linux/arm/v7`; builds for others pass it over.
 * @param file how the list is called in messages.
 * @throws SlipwayError E_INVALID_REFERENCE that lists every bad line.
 */
export function parseImageList(text: string, file: string): FoundImage[] {
  const images: FoundImage[] = [];
  const problems: string[] = [];
  for (const { line, words } of listLines(text)) {
    const [name = '', platforms, ...rest] = words;
    const problem = ((): string | undefined => {
      if (rest.length > 0) return `${JSON.stringify(rest.join(' '))} is too much: a line is a name and its platforms`;
      const read = readImageName(name.replace(/^(["'])(.*)\1$/, '$2'));
      if (read.reference === undefined) return read.problem;
      try {
        const only = platforms === undefined ? undefined : readPlatforms(platforms);
        images.push({ reference: read.reference, place: { file, line }, platforms: only });
      } catch (error) {
        return messageOf(error);
      }
      return undefined;
    })();
    if (problem !== undefined) problems.push(`${file}:${line}: ${problem}`);
  }
  if (problems.length > 0)
    throw new SlipwayError('E_INVALID_REFERENCE', problems.join('\n'), {
      hint: 'an image list has one image name a line, and the platforms it is for behind it if it is not for all',
    });
  return images;
}

/** The lines of a list that say something, from 1, without comments, in words. */
export function listLines(text: string): { readonly line: number; readonly words: readonly string[] }[] {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .flatMap((raw, index) => {
      const words = raw
        .replace(/(?:^|\s)#.*$/, '')
        .trim()
        .split(/\s+/)
        .filter((word) => word !== '');
      return words.length === 0 ? [] : [{ line: index + 1, words }];
    });
}

function readPlatforms(text: string): Platform[] {
  return text.split(',').map((one) => parsePlatform(one));
}
