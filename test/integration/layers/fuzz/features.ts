import { readRawHeader } from '../../../../src/layers/tar-fields.js';
import type { Listed } from './oracles.js';

/**
 * What an archive that we accept can have that GNU tar or Python's tarfile read in another way. Each is known; we read it as Go's archive/tar
 * does, which containers are unpacked with everywhere else.
 */
export type Feature =
  /** A link, directory or device claims a size: GNU tar reads over so many bytes. */
  | 'size of what has no content'
  /** A number of blanks (0 to us), after a NUL, or with other first bytes than GNU's binary numbers have. */
  | 'odd number'
  /** A long name of GNU that does not end with a NUL: GNU tar reads on behind it. */
  | 'long name without end'
  /** Several headers describe one member, not as GNU tar writes them: Python lets the first one count. */
  | 'several extended headers'
  /** Something in the place of the prefix, which is none: Python takes it for one whatever the format. */
  | 'prefix without ustar'
  /** A volume label: Python lists it as a member. */
  | 'volume label'
  /** A file whose name ends with a slash is a directory: to Python only in the oldest format, and by the name in the header itself. */
  | 'slash at the end';

const BLOCK = 512;
const NUMBERS = [
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [148, 8],
  [329, 8],
  [337, 8],
] as const;
const USUAL_NUMBER = /^(?: *[0-7]+ *(?:\0.*)?|\0+|[\x80\xff].*)$/s;
const FILES: readonly string[] = ['\0', '0', '7'];
const USUAL_HEADERS = /^g*(?:x|X|L?K?|K?L)$/;

/** @param members as they were read, with where their content begins. */
export function featuresOf(
  tar: Buffer,
  members: readonly (Listed & { readonly offset: number })[],
): ReadonlySet<Feature> {
  const found = new Set<Feature>();
  let end = 0;
  for (const { offset, size, type } of members) {
    const kinds: string[] = [];
    let sized = false;
    for (let at = end; at < offset - BLOCK; ) {
      const raw = lookAt(tar, at, found);
      if (raw === undefined) break;
      kinds.push(raw.typeFlag);
      const body = tar.subarray(at + BLOCK, at + BLOCK + raw.size);
      if (raw.typeFlag === 'V') found.add('volume label');
      if ('LK'.includes(raw.typeFlag) && !body.includes(0)) found.add('long name without end');
      if ('xX'.includes(raw.typeFlag)) sized = body.includes(' size=');
      at += BLOCK + Math.ceil(raw.size / BLOCK) * BLOCK;
    }
    if (!USUAL_HEADERS.test(kinds.filter((kind) => kind !== 'V').join(''))) found.add('several extended headers');
    const raw = lookAt(tar, offset - BLOCK, found);
    if (type !== 'file' && (sized || raw?.size !== 0)) found.add('size of what has no content');
    if (FILES.includes(raw?.typeFlag ?? '') && (type === 'dir' || raw?.name.endsWith('/')))
      found.add('slash at the end');
    end = offset + Math.ceil((size ?? 0) / BLOCK) * BLOCK;
  }
  return found;
}

function lookAt(tar: Buffer, at: number, found: Set<Feature>): ReturnType<typeof readRawHeader> {
  const header = Buffer.from(tar.subarray(at, at + BLOCK));
  for (const [start, length] of NUMBERS)
    if (!USUAL_NUMBER.test(header.toString('latin1', start, start + length))) found.add('odd number');
  if (header.toString('latin1', 257, 263) !== 'ustar\0' && header[345] !== 0) found.add('prefix without ustar');
  return readRawHeader(header, at);
}
