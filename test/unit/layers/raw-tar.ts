/** Tars made by hand, byte by byte, so that they can be as wrong as a test needs them. Shares nothing with the code under test. */
export interface RawMember {
  readonly name: string;
  /** Type flag; default a file. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  /** The size that the header claims, when it is not that of the content. */
  readonly size?: number;
  readonly device?: readonly [number, number];
  /** Writes over the header before the checksum is made. */
  readonly patch?: (header: Buffer) => void;
  readonly badChecksum?: boolean;
}

/** A whole archive with its two blocks of zeros. */
export function rawTar(...members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.map(rawMember), Buffer.alloc(1024)]);
}

export function rawMember(member: RawMember): Buffer {
  const content = Buffer.from(member.content ?? '');
  const header = Buffer.alloc(512);
  header.write(member.name, 0, 100);
  header.write(octal(member.mode ?? 0o644, 7), 100);
  header.write(octal(member.uid ?? 0, 7), 108);
  header.write(octal(member.gid ?? 0, 7), 116);
  header.write(octal(member.size ?? content.length, 11), 124);
  header.write(octal(member.mtime ?? 0, 11), 136);
  header.write(member.type ?? '0', 156);
  header.write(member.link ?? '', 157, 100);
  header.write('ustar\x0000', 257);
  header.write(octal(member.device?.[0] ?? 0, 7), 329);
  header.write(octal(member.device?.[1] ?? 0, 7), 337);
  member.patch?.(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (member.badChecksum === true ? 1 : 0);
  header.write(`${octal(sum, 6)}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding]);
}

/** A pax extended header (or, with type `g`, a global one). */
export function pax(records: Readonly<Record<string, string>>, type = 'x'): RawMember {
  return {
    name: 'PaxHeaders/x',
    type,
    content: Object.entries(records)
      .map(([key, value]) => paxRecord(key, value))
      .join(''),
  };
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (Buffer.byteLength(`${length}${rest}`) !== length) length++;
  return `${length}${rest}`;
}

/** GNU's long name (L) or long link (K). */
export function gnuLong(type: 'L' | 'K', text: string): RawMember {
  return { name: '././@LongLink', type, content: `${text}\0` };
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** A stream of `bytes` in pieces of `size`. */
export async function* inPieces(bytes: Buffer, size = 65536): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
