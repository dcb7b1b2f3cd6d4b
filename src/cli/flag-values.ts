import { SlipwayError } from '../base/errors.js';
import { type Platform, parsePlatform, samePlatform, thisPlatform } from '../image/platform.js';
import { parseReference } from '../image/reference.js';

/** A name that an image is to get. @throws SlipwayError E_USAGE when it has a digest, E_INVALID_REFERENCE */
export function tagName(text: string): string {
  const { name, digest } = parseReference(text);
  if (digest !== undefined) throw new SlipwayError('E_USAGE', `-t ${text}: a name that is given cannot have a digest`);
  return name;
}

/** The platforms of `--platform`: `linux/amd64,linux/arm64`, and repeated; each once, this machine's when there is none. */
export function platforms(list: readonly string[]): Platform[] {
  const texts = list.flatMap((text) => text.split(',')).filter((text) => text !== '');
  if (texts.length === 0) return [thisPlatform()];
  const found = texts.map(parsePlatform);
  return found.filter((platform, index) => found.findIndex((other) => samePlatform(other, platform)) === index);
}

/** The pairs of `--label` and `--annotation`: `NAME=value`. @throws SlipwayError E_USAGE */
export function assignments(list: readonly string[], flag: string): Record<string, string> {
  return Object.fromEntries(
    list.map((text) => {
      const equals = text.indexOf('=');
      if (equals === 0) throw new SlipwayError('E_USAGE', `${flag} ${text}: the name is missing`);
      return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

/** SOURCE_DATE_EPOCH in seconds (https://reproducible-builds.org/specs/source-date-epoch/). @throws SlipwayError E_USAGE */
export function readEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,11}$/.test(text))
    throw new SlipwayError('E_USAGE', `SOURCE_DATE_EPOCH=${text} is not a number of seconds`);
  return Number(text);
}

/** The value of a flag that counts something: undefined when it was not given. @throws SlipwayError E_USAGE */
export function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new SlipwayError('E_USAGE', `${flag} ${text} is not a positive number`);
  return Number(text);
}
