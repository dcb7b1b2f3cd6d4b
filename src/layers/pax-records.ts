import { pathFromBytes } from './path-bytes.js';
import { badArchive } from './tar-fields.js';

/** What pax extended headers say about an entry; anything else they may say is ignored. */
export interface PaxFields {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Whole seconds, rounded down. */
  readonly mtime?: number;
  /** Values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** The entry is stored with holes left out, in one of GNU's ways. */
  readonly sparse?: boolean;
}

const XATTR = 'SCHILY.xattr.';
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Reads the body of a pax extended header: records `LENGTH KEY=VALUE\n` (POSIX pax).
 *
 * @param offset where the header is in the archive, for errors.
 * @throws SlipwayError E_BAD_ARCHIVE for a malformed record or number, a name that is empty, a NUL in a key or a name.
 */
export function readPaxRecords(body: Buffer, offset: number): PaxFields {
  const fields: { -readonly [K in keyof PaxFields]: PaxFields[K] } = {};
  let xattrs: Record<string, string> | undefined;
  let at = 0;
  while (at < body.length) {
    const { key, value, end } = readRecord(body, at, offset);
    at = end;
    switch (key) {
      case 'path':
      case 'linkpath':
        if (value.includes(0)) throw badArchive(offset, `the pax ${key} contains a NUL`);
        // To some that means what the header says, to others no name at all.
        if (value.length === 0) throw badArchive(offset, `the pax ${key} is empty`);
        fields[key] = pathFromBytes(value);
        break;
      case 'size':
      case 'uid':
      case 'gid':
        fields[key] = wholeNumber(key, value.toString('latin1'), offset);
        break;
      case 'mtime':
        fields.mtime = seconds(value.toString('latin1'), offset);
        break;
      default:
        if (key.startsWith(XATTR)) {
          // No prototype: an attribute may be called __proto__.
          xattrs ??= Object.create(null) as Record<string, string>;
          xattrs[key.slice(XATTR.length)] = value.toString('base64');
        } else if (key.startsWith('GNU.sparse.')) {
          fields.sparse = true;
        }
    }
  }
  return xattrs === undefined ? fields : { ...fields, xattrs: { ...xattrs } };
}

function readRecord(body: Buffer, at: number, offset: number): { key: string; value: Buffer; end: number } {
  const space = body.indexOf(SPACE, at);
  const digits = space < 0 || space - at > 12 ? '' : body.toString('latin1', at, space);
  const end = at + Number(digits);
  if (!/^[1-9][0-9]*$/.test(digits) || end > body.length || end < space + 3 || body[end - 1] !== NEWLINE) {
    throw badArchive(offset, 'a pax header is malformed');
  }
  const equals = body.indexOf(EQUALS, space + 1);
  if (equals < 0 || equals >= end || equals === space + 1) throw badArchive(offset, 'a pax header is malformed');
  // GNU tar reads over blanks before a keyword, others take them for a part of it.
  if (body[space + 1] === SPACE || body[space + 1] === TAB) throw badArchive(offset, 'a pax header is malformed');
  const key = body.toString('utf8', space + 1, equals);
  // No attribute has such a name; where names are separated by NULs it would be several.
  if (key.includes('\0')) throw badArchive(offset, 'a pax key contains a NUL');
  return { key, value: body.subarray(equals + 1, end - 1), end };
}

function wholeNumber(key: string, digits: string, offset: number): number {
  const value = Number(digits);
  if (!/^[0-9]{1,16}$/.test(digits) || !Number.isSafeInteger(value)) {
    throw badArchive(offset, `the pax ${key} ${JSON.stringify(digits.slice(0, 40))} is no number`);
  }
  return value;
}

function seconds(digits: string, offset: number): number {
  const match = /^(-?[0-9]{1,15})(?:\.([0-9]*))?$/.exec(digits);
  if (match === null) throw badArchive(offset, `the pax mtime ${JSON.stringify(digits.slice(0, 40))} is no time`);
  const whole = Number(match[1]);
  // -0.5 lies in the second that begins at -1.
  return digits.startsWith('-') && /[1-9]/.test(match[2] ?? '') ? whole - 1 : whole;
}
