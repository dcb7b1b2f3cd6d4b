import * as zlib from 'node:zlib';

/** `zlib.crc32`, which Node has from 20.15 and 22.2 on. */
const native = (zlib as { readonly crc32?: (data: Uint8Array, value?: number) => number }).crc32;

/** The CRC-32 of RFC 1952 over `data`, continuing from `value`. */
export function crc32(data: Uint8Array, value = 0): number {
  return native === undefined ? crc32ByTable(data, value) : native(data, value);
}

let table: Uint32Array | undefined;

/** The same by table, for Node versions without it. */
export function crc32ByTable(data: Uint8Array, value = 0): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  let crc = ~value;
  for (const byte of data) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0);
  return ~crc >>> 0;
}
