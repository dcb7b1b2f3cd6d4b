import { SlipwayError } from '../base/errors.js';
import { pathFromBytes } from './path-bytes.js';

/** The fields of one 512-byte tar header, as they are written. */
export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeFlag: string;
  readonly linkName: string;
  readonly devMajor: number;
  readonly devMinor: number;
}

const SPACE = 0x20;
const HEADER = 512;
const USTAR = Buffer.from('ustar');
const STAR = Buffer.from('tar\0');

/**
 * Reads a header of any of the old formats: v7, ustar (POSIX), GNU, star. `undefined` for a block of zeros.
 *
 * @param offset where the block is in the archive, for errors.
 * @throws SlipwayError E_BAD_ARCHIVE when the checksum is wrong or a number cannot be read.
 */
export function readRawHeader(block: Buffer, offset: number): RawHeader | undefined {
  const stored = isBlank(block, 148, 8) ? 0 : octal(block, 148, 8, 'checksum', offset);
  let unsigned = 8 * SPACE;
  for (let at = 0; at < HEADER; at++) unsigned += block[at] ?? 0;
  for (let at = 148; at < 156; at++) unsigned -= block[at] ?? 0;
  if (unsigned === 8 * SPACE && stored === 0) return undefined;
  // Some old programs summed signed characters.
  if (unsigned !== stored && signedSum(block) !== stored) {
    throw badArchive(offset, 'the checksum of a header is wrong');
  }
  const devices = has(block, 257, USTAR);
  // GNU's own format, which is `ustar` and a space, keeps times where POSIX keeps the prefix.
  const posix = devices && block[262] === 0;
  const prefix = posix ? text(block, 345, has(block, 508, STAR) ? 131 : 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8, 'mode', offset),
    uid: number(block, 108, 8, 'uid', offset),
    gid: number(block, 116, 8, 'gid', offset),
    size: number(block, 124, 12, 'size', offset),
    mtime: number(block, 136, 12, 'mtime', offset),
    typeFlag: String.fromCharCode(block[156] ?? 0),
    linkName: text(block, 157, 100),
    devMajor: devices ? number(block, 329, 8, 'device number', offset) : 0,
    devMinor: devices ? number(block, 337, 8, 'device number', offset) : 0,
  };
}

/** @returns E_BAD_ARCHIVE that says where. */
export function badArchive(offset: number, why: string, cause?: unknown): SlipwayError {
  return new SlipwayError('E_BAD_ARCHIVE', `cannot read the tar at byte ${offset}: ${why}`, {
    hint: 'the archive is truncated or damaged: pull or copy it again',
    cause,
  });
}

function has(block: Buffer, at: number, bytes: Buffer): boolean {
  return bytes.every((byte, index) => block[at + index] === byte);
}

/** Text up to the first NUL. */
function text(block: Buffer, at: number, length: number): string {
  let end = at;
  let all = 0;
  for (; end < at + length && block[end] !== 0; end++) all |= block[end] ?? 0;
  if (end === at) return '';
  return all < 0x80 ? block.toString('latin1', at, end) : pathFromBytes(block.subarray(at, end));
}

function number(block: Buffer, at: number, length: number, what: string, offset: number): number {
  return (block[at] ?? 0) & 0x80 ? base256(block, at, length, what, offset) : octal(block, at, length, what, offset);
}

/** Octal digits after spaces and NULs, up to a NUL or spaces; nothing at all is 0. As Go reads them, GNU tar takes more. */
function octal(block: Buffer, at: number, length: number, what: string, offset: number): number {
  let position = at;
  const end = at + length;
  while (position < end && (block[position] === SPACE || block[position] === 0)) position++;
  let value = 0;
  let digits = true;
  for (; position < end; position++) {
    const byte = block[position] ?? 0;
    if (byte === 0) break;
    if (byte === SPACE) digits = false;
    else if (!digits || byte < 0x30 || byte > 0x37)
      throw badArchive(offset, `the ${what} of a header is no octal number`);
    else value = value * 8 + (byte - 0x30);
  }
  return value;
}

/** GNU's binary numbers: big-endian two's complement, the first bit set as a mark. */
function base256(block: Buffer, at: number, length: number, what: string, offset: number): number {
  const first = block[at] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? (first & 0x7f) - 0x80 : first & 0x7f;
  for (let position = at + 1; position < at + length; position++) value = value * 256 + (block[position] ?? 0);
  if (!Number.isSafeInteger(value)) throw badArchive(offset, `the ${what} of a header is too big`);
  return value;
}

function isBlank(block: Buffer, at: number, length: number): boolean {
  for (let position = at; position < at + length; position++) if (block[position] !== 0) return false;
  return true;
}

function signedSum(block: Buffer): number {
  let sum = 8 * SPACE;
  for (let at = 0; at < HEADER; at++) if (at < 148 || at >= 156) sum += block.readInt8(at);
  return sum;
}
