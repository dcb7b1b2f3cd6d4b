import type { Random } from '../../../support/random.js';
import { paxRecord, rawMember } from '../../../unit/layers/raw-tar.js';

const BLOCK = 512;

/** One way to make an archive wrong. Gives undefined where there is nothing for it. */
export type Mutation = (tar: Buffer, random: Random) => Buffer | undefined;

/** Fields of a header: where they begin and how long they are. */
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  owner: [265, 32],
  group: [297, 32],
  major: [329, 8],
  minor: [337, 8],
  prefix: [345, 155],
  rest: [500, 12],
} as const;
type Field = keyof typeof FIELDS;

const NAMES = [
  ...['', '.', './', '/', '//', '..', '../x', 'a/../../x', '/etc/passwd', './a/./b/', 'a//b', 'a/', 'a/.', 'a/..'],
  ...['.wh.a', 'd/.wh.f', '.wh..wh..opq', 'd/.wh..wh..opq', '.wh..wh.aufs', '.wh.', '.wh..', '.wh...', '.wh.x/y'],
  ...['d', 'd/f', 'l', 'l/x', 'n\nl', 'q"\\', '\u00e9', 'x'.repeat(100), 'x/'.repeat(49), `${'y'.repeat(99)}/`, '-rf'],
];
const LINKS = [
  '',
  '.',
  '..',
  '/',
  '/etc',
  '../../..',
  'd',
  'd/f',
  'l',
  './d/f',
  '/d/f',
  'd/../d/f',
  '../canary/f',
  'x'.repeat(100),
];
const TYPES = [...'\0 01234567xgXLKVSDMNAZaz', '\u0080', '\u00ff'];
const MAGICS = ['ustar\x0000', 'ustar  \0', 'ustar\0\0\0', '\0\0\0\0\0\0\0\0', 'ustar\x0099', 'usta\0\0\0\0'];
const NUMBERS = [
  ...['', '0', '7', '777', '4000', '7777777', '77777777777', '777777777777', '1', '00000001000', '40000000000'],
  ...[
    '-1',
    '+1',
    ' 7',
    '7 ',
    '7 7',
    '8',
    '0x7',
    '1e3',
    '7\x007',
    ' \0 7',
    '٣',
    '1_0',
    '       7',
    '00000000000\0',
    '            ',
  ],
];
const PAX_KEYS = [
  ...[
    'path',
    'linkpath',
    'size',
    'uid',
    'gid',
    'mtime',
    'atime',
    'ctime',
    'uname',
    'gname',
    'comment',
    'charset',
    'hdrcharset',
  ],
  ...[
    'SCHILY.xattr.user.a',
    'SCHILY.xattr.trusted.overlay.opaque',
    'SCHILY.xattr.__proto__',
    'SCHILY.xattr.user.a\x0061\0w\0../canary/f\0user.pwned',
    'SCHILY.xattr.',
    'SCHILY.xattr.trusted.a',
    'LIBARCHIVE.xattr.user.b',
  ],
  ...[
    'GNU.sparse.major',
    'GNU.sparse.map',
    'GNU.volume.filename',
    'SCHILY.devmajor',
    '__proto__',
    'constructor',
    'PATH',
    ' path',
  ],
];
const PAX_VALUES = [
  ...NAMES,
  ...LINKS,
  ...[
    '0',
    '1',
    '10',
    '511',
    '512',
    '1024',
    '99999999999999999999',
    '-1',
    '1.5',
    '-0.5',
    '1e3',
    '0x10',
    ' 1',
    '1 ',
    '4294967295',
    'a\0b',
    '\n',
    '=',
    'a=b',
  ],
];

/** The headers that can be found by going from one to the next; what is claimed of sizes is believed. */
export function headersOf(tar: Buffer): readonly number[] {
  const found: number[] = [];
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const size = Number.parseInt(
      tar
        .toString('latin1', at + 124, at + 136)
        .replace(/\0.*$/s, '')
        .trim() || '0',
      8,
    );
    if (tar[at] === 0 && tar[at + 257] === 0) break;
    found.push(at);
    at += BLOCK + Math.ceil((Number.isFinite(size) ? size : 0) / BLOCK) * BLOCK;
  }
  return found;
}

/** Makes the checksum of the header at `at` right. */
export function fixChecksum(tar: Buffer, at: number): void {
  tar.fill(' ', at + 148, at + 156);
  let sum = 0;
  for (let position = at; position < at + BLOCK; position++) sum += tar[position] ?? 0;
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

function withHeader(tar: Buffer, random: Random, change: (copy: Buffer, at: number) => void): Buffer | undefined {
  const headers = headersOf(tar);
  if (headers.length === 0) return undefined;
  const copy = Buffer.from(tar);
  const at = random.pick(headers);
  change(copy, at);
  fixChecksum(copy, at);
  return copy;
}

function writeField(tar: Buffer, at: number, field: Field, text: string): void {
  const [start, length] = FIELDS[field];
  tar.fill(0, at + start, at + start + length);
  tar.write(text, at + start, length, 'utf8');
}

function baseTwoFiftySix(length: number, random: Random): Buffer {
  const bytes = Buffer.alloc(length, random.pick([0, 0, 0, 0xff, 0x80]));
  const some = random.bytes(random.below(9));
  some.copy(bytes, length - Math.min(some.length, length));
  bytes[0] = random.pick([0x80, 0xff, 0x81, 0xc0, 0xbf]);
  return bytes;
}

const NUMERIC: readonly Field[] = ['mode', 'uid', 'gid', 'size', 'size', 'size', 'mtime', 'major', 'minor'];

/** The members of a tar, headers with what belongs to them. */
function pieces(tar: Buffer): readonly Buffer[] {
  const headers = headersOf(tar);
  return headers.map((at, index) => tar.subarray(at, headers[index + 1] ?? endOf(tar, at)));
}

function endOf(tar: Buffer, at: number): number {
  let end = at + BLOCK;
  while (end < tar.length && !isZero(tar, end)) end += BLOCK;
  return Math.min(end, tar.length);
}

function isZero(tar: Buffer, at: number): boolean {
  return tar.subarray(at, at + BLOCK).every((byte) => byte === 0);
}

const END = Buffer.alloc(2 * BLOCK);

/** A pax extended header whose records are mostly right. */
function paxHeader(random: Random, type: string): Buffer {
  const records = Array.from({ length: 1 + random.below(3) }, () => {
    const record = paxRecord(random.pick(PAX_KEYS), random.pick(PAX_VALUES));
    return random.below(6) > 0 ? record : wrongRecord(record, random);
  });
  return rawMember({ name: 'PaxHeaders/x', type, content: records.join('') });
}

function wrongRecord(record: string, random: Random): string {
  const rest = record.replace(/^\d+/, '');
  const length = Number.parseInt(record, 10);
  return random.pick([
    `${length + 1}${rest}`,
    `${length - 1}${rest}`,
    `0${record}`,
    `-${record}`,
    `99999999999${rest}`,
    rest,
    record.replace('=', ''),
    record.trimEnd(),
    `${length}\t${rest.slice(1)}`,
    '',
    '\n',
    '3 =\n',
    `${record}${'\0'.repeat(5)}`,
  ]);
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'bits anywhere': (tar, random) => {
    if (tar.length === 0) return undefined;
    const copy = Buffer.from(tar);
    for (let count = 1 + random.below(8); count > 0; count--) {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    }
    return copy;
  },
  'bits of a header': (tar, random) =>
    withHeader(tar, random, (copy, at) => {
      for (let count = 1 + random.below(4); count > 0; count--) {
        const position = at + random.below(BLOCK);
        copy[position] = (copy[position] ?? 0) ^ (1 << random.below(8));
      }
    }),
  'a byte of a field': (tar, random) =>
    withHeader(tar, random, (copy, at) => {
      const [start, length] = FIELDS[random.pick(Object.keys(FIELDS) as Field[])];
      copy[at + start + random.below(length)] = random.pick([
        0,
        0x20,
        0x2f,
        0x2e,
        0x30,
        0x37,
        0x38,
        0x80,
        0xff,
        random.below(256),
      ]);
    }),
  'a number': (tar, random) =>
    withHeader(tar, random, (copy, at) => writeField(copy, at, random.pick(NUMERIC), random.pick(NUMBERS))),
  'a binary number': (tar, random) =>
    withHeader(tar, random, (copy, at) => {
      const [start, length] = FIELDS[random.pick(NUMERIC)];
      baseTwoFiftySix(length, random).copy(copy, at + start);
    }),
  'a name': (tar, random) =>
    withHeader(tar, random, (copy, at) =>
      writeField(copy, at, random.pick(['name', 'name', 'prefix'] as const), random.pick(NAMES)),
    ),
  'a link': (tar, random) =>
    withHeader(tar, random, (copy, at) => {
      writeField(copy, at, 'link', random.pick(LINKS));
      if (random.below(2) === 0) writeField(copy, at, 'type', random.pick(['1', '2']));
    }),
  'a type': (tar, random) =>
    withHeader(tar, random, (copy, at) => {
      copy[at + 156] = random.pick(TYPES).charCodeAt(0);
    }),
  'a magic': (tar, random) => withHeader(tar, random, (copy, at) => writeField(copy, at, 'magic', random.pick(MAGICS))),
  'a checksum': (tar, random) => {
    const headers = headersOf(tar);
    if (headers.length === 0) return undefined;
    const copy = Buffer.from(tar);
    writeField(copy, random.pick(headers), 'checksum', random.pick(NUMBERS));
    return copy;
  },
  'cut anywhere': (tar, random) => tar.subarray(0, random.below(tar.length + 1)),
  'cut between blocks': (tar, random) => tar.subarray(0, BLOCK * random.below(tar.length / BLOCK + 1)),
  'blocks twice': (tar, random) => {
    const blocks = Math.floor(tar.length / BLOCK);
    if (blocks === 0) return undefined;
    const at = BLOCK * random.below(blocks);
    const end = Math.min(tar.length, at + BLOCK * (1 + random.below(3)));
    return Buffer.concat([tar.subarray(0, end), tar.subarray(at, end), tar.subarray(end)]);
  },
  'blocks missing': (tar, random) => {
    const blocks = Math.floor(tar.length / BLOCK);
    if (blocks === 0) return undefined;
    const at = BLOCK * random.below(blocks);
    return Buffer.concat([tar.subarray(0, at), tar.subarray(at + BLOCK * (1 + random.below(2)))]);
  },
  'blocks exchanged': (tar, random) => {
    const blocks = Math.floor(tar.length / BLOCK);
    if (blocks < 2) return undefined;
    const copy = Buffer.from(tar);
    const [a, b] = [BLOCK * random.below(blocks), BLOCK * random.below(blocks)];
    tar.copy(copy, a, b, b + BLOCK);
    tar.copy(copy, b, a, a + BLOCK);
    return copy;
  },
  'a block of something': (tar, random) => {
    const at = BLOCK * random.below(tar.length / BLOCK + 1);
    const block = random.pick([
      Buffer.alloc(BLOCK),
      Buffer.alloc(BLOCK, 0xff),
      random.bytes(BLOCK),
      Buffer.alloc(2 * BLOCK),
    ]);
    return Buffer.concat([tar.subarray(0, at), block, tar.subarray(at)]);
  },
  'members in another order': (tar, random) => {
    const all = [...pieces(tar)];
    for (let index = all.length - 1; index > 0; index--) {
      const other = random.below(index + 1);
      [all[index], all[other]] = [all[other] as Buffer, all[index] as Buffer];
    }
    return Buffer.concat([...all, END]);
  },
  'a member twice': (tar, random) => {
    const all = [...pieces(tar)];
    if (all.length === 0) return undefined;
    all.splice(random.below(all.length + 1), 0, random.pick(all));
    return Buffer.concat([...all, END]);
  },
  'a member missing': (tar, random) => {
    const all = [...pieces(tar)];
    if (all.length === 0) return undefined;
    all.splice(random.below(all.length), 1);
    return Buffer.concat([...all, END]);
  },
  'an extended header more': (tar, random) => {
    const all = [...pieces(tar)];
    all.splice(random.below(all.length + 1), 0, paxHeader(random, random.pick(['x', 'x', 'x', 'g', 'X'])));
    return Buffer.concat([...all, END]);
  },
  'a long name more': (tar, random) => {
    const all = [...pieces(tar)];
    const text = random.pick([...NAMES, ...LINKS, 'z'.repeat(300), 'y/'.repeat(200), 'nul\0inside', '']);
    const content = random.below(4) === 0 ? text : `${text}\0`;
    all.splice(
      random.below(all.length + 1),
      0,
      rawMember({ name: '././@LongLink', type: random.pick(['L', 'K']), content }),
    );
    return Buffer.concat([...all, END]);
  },
  'bytes of an extended header': (tar, random) => {
    const meta = headersOf(tar).filter((at) => 'xgLK'.includes(String.fromCharCode(tar[at + 156] ?? 0)));
    if (meta.length === 0) return undefined;
    const copy = Buffer.from(tar);
    const at = random.pick(meta) + BLOCK;
    for (let count = 1 + random.below(3); count > 0; count--) {
      const position = at + random.below(60);
      if (position < copy.length) copy[position] = random.pick([0, 0x0a, 0x20, 0x2f, 0x30, 0x39, 0x3d, 0x80, 0xff]);
    }
    return copy;
  },
  'another archive behind': (tar, random) => {
    const all = pieces(tar);
    return Buffer.concat([...all, ...(random.below(2) === 0 ? [END] : []), ...all, END]);
  },
  'no end': (tar) => Buffer.concat(pieces(tar)),
  'half an end': (tar) => Buffer.concat([...pieces(tar), Buffer.alloc(BLOCK)]),
};

/** An archive with one to four mutations. */
export function mutated(tar: Buffer, random: Random): { readonly tar: Buffer; readonly how: readonly string[] } {
  const how: string[] = [];
  let current = tar;
  for (let count = random.pick([1, 1, 1, 2, 2, 3, 4]); count > 0; count--) {
    const name = random.pick(Object.keys(MUTATIONS));
    const next = MUTATIONS[name]?.(current, random);
    if (next === undefined) continue;
    current = next;
    how.push(name);
  }
  return { tar: current, how };
}
