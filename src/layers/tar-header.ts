import { SlipwayError } from '../base/errors.js';
import { isLocalXattr, opaqueName, whiteoutName } from './layer-names.js';
import { pathToBytes } from './path-bytes.js';
import type { EntryType, PackEntry } from './toc.js';

/** tar works in blocks of this many bytes. */
export const TAR_BLOCK = 512;

const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;
const NAME_LENGTH = 100;
const PREFIX_LENGTH = 155;
const ZERO = 0x30;

const TYPE_FLAG: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
  whiteout: '0',
  opaque: '0',
};

/** The name an entry has in the tar, with the slash that ends a directory's. */
export function tarName({ type, path }: Pick<PackEntry, 'type' | 'path'>): string {
  switch (type) {
    case 'dir':
      return path === '' ? './' : `${path}/`;
    case 'whiteout':
      return whiteoutName(path);
    case 'opaque':
      return opaqueName(path);
    default:
      return path;
  }
}

/** Bytes up to the next multiple of {@link TAR_BLOCK}. */
export function tarPadding(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/**
 * Writes the ustar header of an entry (POSIX pax, "ustar Interchange Format") at `at` of `target`, which has room for one block.
 * Gives back the blocks of the pax extended header that must come *before* it, when the entry does not fit into ustar: names that
 * are not ASCII or too long, ids over 2097151, sizes over 8 GiB, times outside 1970…2242, extended attributes. Like Go's archive/tar,
 * the header is plain ustar whenever that is enough. Sub-second times and owner names are never written.
 *
 * @throws SlipwayError E_INTERNAL for an entry that no tar can carry (a NUL in its name, a negative id).
 */
export function writeTarHeader(target: Buffer, at: number, entry: PackEntry, mtime: number): Buffer | undefined {
  const name = tarName(entry);
  const link = entry.linkTarget ?? '';
  const size = entry.type === 'file' ? entry.size : 0;
  checkFields(entry, name, link);
  target.fill(0, at, at + TAR_BLOCK);
  const records: [string, Buffer][] = [];

  const split = writeName(target, at, name);
  if (!split) records.push(['path', pathToBytes(name)]);
  if (link !== '' && !writeText(target, at + 157, link, NAME_LENGTH)) records.push(['linkpath', pathToBytes(link)]);
  writeOctal(target, at + 100, entry.mode & 0o7777, 7);
  writeNumber(target, at + 108, entry.uid, 7, MAX_OCTAL_7, 'uid', records);
  writeNumber(target, at + 116, entry.gid, 7, MAX_OCTAL_7, 'gid', records);
  writeNumber(target, at + 124, size, 11, MAX_OCTAL_11, 'size', records);
  writeNumber(target, at + 136, mtime, 11, MAX_OCTAL_11, 'mtime', records);
  target.write(TYPE_FLAG[entry.type], at + 156, 1, 'latin1');
  target.write('ustar\x0000', at + 257, 8, 'latin1');
  writeOctal(target, at + 329, entry.devMajor ?? 0, 7);
  writeOctal(target, at + 337, entry.devMinor ?? 0, 7);
  writeChecksum(target, at);

  for (const [key, value] of Object.entries(entry.xattrs ?? {})) {
    if (!isLocalXattr(key)) records.push([`SCHILY.xattr.${key}`, Buffer.from(value, 'base64')]);
  }
  return records.length === 0 ? undefined : paxHeader(records);
}

/**
 * The header of a plain file, root's, of the year 1970, with a path that ustar can hold. It is one block whatever the size is, so that it can be
 * written again when the size turns out to be another: a size over 8 GiB is in the notation of GNU tar (base 256), which Go and bsdtar read too.
 */
export function plainFileHeader(path: string, size: number): Buffer {
  const block = Buffer.alloc(TAR_BLOCK);
  const large = size > MAX_OCTAL_11;
  const entry: PackEntry = { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size: large ? 0 : size, mtime: 0 };
  if (writeTarHeader(block, 0, entry, 0) !== undefined)
    throw new SlipwayError('E_INTERNAL', `${path} does not fit into a plain header`);
  if (large) {
    block.fill(0, 124, 136);
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
    writeChecksum(block, 0);
  }
  return block;
}

function checkFields(entry: PackEntry, name: string, link: string): void {
  const bad =
    name.includes('\0') || link.includes('\0')
      ? 'its name contains a NUL'
      : entry.uid < 0 || entry.gid < 0 || entry.size < 0
        ? 'it has a negative owner or size'
        : (entry.devMajor ?? 0) > MAX_OCTAL_7 || (entry.devMinor ?? 0) > MAX_OCTAL_7
          ? 'its device number is too big'
          : undefined;
  if (bad !== undefined)
    throw new SlipwayError('E_INTERNAL', `cannot write ${JSON.stringify(entry.path)} to a tar: ${bad}`);
}

/** Writes `name` whole, or split at a slash into prefix and name. False: neither fits, a shortened ASCII form was written. */
function writeName(target: Buffer, at: number, name: string): boolean {
  if (writeText(target, at, name, NAME_LENGTH)) return true;
  if (!isAscii(name) || name.length > PREFIX_LENGTH + 1 + NAME_LENGTH) return false;
  // The slash that ends a directory's name cannot be the one it is split at.
  const slash = name.lastIndexOf('/', Math.min(PREFIX_LENGTH, name.length - 2));
  if (slash <= 0 || name.length - slash - 1 > NAME_LENGTH) return false;
  target.fill(0, at, at + NAME_LENGTH);
  target.write(name.slice(slash + 1), at, 'latin1');
  target.write(name.slice(0, slash), at + 345, 'latin1');
  return true;
}

/** Writes ASCII text that fits; otherwise as much of it as an old tar can show, and gives false. */
function writeText(target: Buffer, at: number, text: string, room: number): boolean {
  const ascii = isAscii(text);
  if (ascii && text.length <= room) {
    target.write(text, at, room, 'latin1');
    return true;
  }
  target.write(ascii ? text.slice(0, room) : text.replace(/[^\x00-\x7f]/g, '').slice(0, room), at, room, 'latin1');
  return false;
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

/** Octal digits, zero-padded, and the NUL that is already there. */
function writeOctal(target: Buffer, at: number, value: number, digits: number): void {
  let rest = value;
  let position = at + digits - 1;
  // Bit operations are for 32 bits; sizes and times may have 33.
  for (; rest > 0x7fffffff; position--) {
    target[position] = ZERO + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  for (; position >= at; position--) {
    target[position] = ZERO | (rest & 7);
    rest >>>= 3;
  }
}

/** A number in octal, or in a pax record (and 0 in the header) when it does not fit. */
function writeNumber(
  target: Buffer,
  at: number,
  value: number,
  digits: number,
  most: number,
  key: string,
  records: [string, Buffer][],
): void {
  const fits = value >= 0 && value <= most;
  if (!fits) records.push([key, Buffer.from(String(value), 'latin1')]);
  writeOctal(target, at, fits ? value : 0, digits);
}

/** The sum of all bytes, the checksum's own counted as spaces; the header has no other bytes than those in the fields that are summed. */
function writeChecksum(target: Buffer, at: number): void {
  let sum = 8 * 0x20;
  for (let position = at; position < at + NAME_LENGTH; position++) {
    const byte = target[position] ?? 0;
    if (byte === 0) break;
    sum += byte;
  }
  for (let position = at + NAME_LENGTH; position < at + 148; position++) sum += target[position] ?? 0;
  for (let position = at + 156; position < at + TAR_BLOCK; position++) {
    const byte = target[position] ?? 0;
    sum += byte;
    // Behind the last byte of the link or the prefix there are only zeros up to the next field.
    if (byte === 0 && position < at + 257) position = at + 256;
    else if (byte === 0 && position >= at + 345) break;
  }
  writeOctal(target, at + 148, sum, 6);
  target[at + 155] = 0x20;
}

/** The blocks of a pax extended header, records in the order of their keys. */
function paxHeader(records: readonly (readonly [string, Buffer])[]): Buffer {
  const sorted = [...records].sort(([a], [b]) => (a < b ? -1 : 1));
  const body = Buffer.concat(sorted.map(([key, value]) => paxRecord(key, value)));
  const blocks = Buffer.alloc(TAR_BLOCK + body.length + tarPadding(body.length));
  // The name is only ever seen by a tar that does not know pax. No process id and no time in it: layers are reproducible.
  blocks.write('PaxHeaders.0/entry', 0, 'latin1');
  writeOctal(blocks, 100, 0o644, 7);
  writeOctal(blocks, 108, 0, 7);
  writeOctal(blocks, 116, 0, 7);
  writeOctal(blocks, 124, body.length, 11);
  writeOctal(blocks, 136, 0, 11);
  blocks.write('x', 156, 'latin1');
  blocks.write('ustar\x0000', 257, 'latin1');
  writeOctal(blocks, 329, 0, 7);
  writeOctal(blocks, 337, 0, 7);
  writeChecksum(blocks, 0);
  body.copy(blocks, TAR_BLOCK);
  return blocks;
}

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself (POSIX pax, "pax Extended Header"). */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length > length) length++;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from('\n')]);
}
