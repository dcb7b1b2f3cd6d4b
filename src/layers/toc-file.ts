import { gunzipSync, gzipSync } from 'node:zlib';
import * as z from 'zod';
import { messageOf, SlipwayError } from '../base/errors.js';
import { zodProblems } from '../base/zod-error.js';
import { type Digest, isDigest } from '../image/digest.js';
import type { EntryType, LayerToc, TocEntry } from './toc.js';

const VERSION = 1;
/** One letter for each type. */
const LETTERS = {
  f: 'file',
  d: 'dir',
  l: 'symlink',
  h: 'hardlink',
  c: 'char',
  b: 'block',
  p: 'fifo',
  w: 'whiteout',
  o: 'opaque',
} as const satisfies Record<string, EntryType>;
type Letter = keyof typeof LETTERS;
const LETTER_OF = new Map<EntryType, Letter>(
  (Object.keys(LETTERS) as Letter[]).map((letter) => [LETTERS[letter], letter]),
);
/** More than any limit of the reader lets through; stops a bomb. */
const MOST_BYTES = 2 * 1024 ** 3 - 1;

const count = z.int().nonnegative();
const digest = z.string().refine(isDigest, 'not a digest');
const extraSchema = z.strictObject({
  link: z.string().optional(),
  xattrs: z.record(z.string(), z.base64()).optional(),
  dev: z.tuple([count, count]).optional(),
});
const row = z.tuple([
  z.enum(Object.keys(LETTERS) as [Letter, ...Letter[]]),
  z.string(),
  count.max(0o7777),
  count,
  count,
  count,
  z.int(),
  count,
  digest.or(z.literal(0)),
  extraSchema.or(z.literal(0)),
]);
const fileSchema = z.object({
  slipwayToc: z.literal(VERSION),
  diffId: digest,
  unpackedSize: count,
  rows: z.array(z.unknown()),
});
/** Rows that are turned into text at once: the text of all of them may be longer than a string can be. */
const PIECE = 20_000;
type Row = z.infer<typeof row>;

/**
 * A table of contents as the store keeps it: gzip'd JSON, `{slipwayToc: 1, diffId, unpackedSize, rows}`, where a row is
 * `[letter, path, mode, uid, gid, size, mtime, offset, digest or 0, {link, xattrs, dev} or 0]`.
 */
export function encodeToc({ diffId, unpackedSize, entries }: LayerToc): Buffer {
  const pieces: Buffer[] = [];
  const write = (text: string): void => void pieces.push(gzipSync(text, { level: 1 }));
  let text = JSON.stringify({ slipwayToc: VERSION, diffId, unpackedSize, rows: [] }).slice(0, -2);
  for (let at = 0; at < entries.length; at += PIECE) {
    if (at > 0) {
      write(text); // gzip may have several members
      text = ',';
    }
    text += JSON.stringify(entries.slice(at, at + PIECE).map(rowOf)).slice(1, -1);
  }
  write(`${text}]}`);
  return Buffer.concat(pieces);
}

/**
 * Reads what {@link encodeToc} wrote.
 *
 * @param expected the layer it must be about.
 * @throws SlipwayError E_STORE when it is damaged, of another version, or about another layer.
 */
export function decodeToc(bytes: Uint8Array, expected?: Digest): LayerToc {
  const parsed = fileSchema.safeParse(parseJson(bytes));
  if (!parsed.success) throw damaged(zodProblems(parsed.error));
  const { diffId, unpackedSize, rows } = parsed.data;
  if (expected !== undefined && diffId !== expected) throw damaged(`it is about ${diffId}, not ${expected}`);
  // One after the other, in the same array: rows and entries together would be twice the memory.
  const entries = rows as TocEntry[];
  for (const [index, value] of rows.entries()) {
    const checked = row.safeParse(value);
    if (!checked.success) throw damaged(`rows.${index}: ${zodProblems(checked.error)}`);
    entries[index] = entryOf(checked.data);
  }
  return { diffId, unpackedSize, entries };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(gunzipSync(bytes, { maxOutputLength: MOST_BYTES, chunkSize: 1024 * 1024 }).toString('utf8'));
  } catch (error) {
    throw damaged(messageOf(error), error);
  }
}

function damaged(why: string, cause?: unknown): SlipwayError {
  return new SlipwayError('E_STORE', `cannot read a layer's table of contents: ${why}`, {
    hint: 'it can be made again from the layer: slipway store check --repair',
    cause,
  });
}

function rowOf(entry: TocEntry): Row {
  const { path, type, mode, uid, gid, size, mtime, offset, linkTarget, xattrs, devMajor, devMinor } = entry;
  const extra = {
    ...(linkTarget === undefined ? {} : { link: linkTarget }),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(devMajor === undefined && devMinor === undefined
      ? {}
      : { dev: [devMajor ?? 0, devMinor ?? 0] as [number, number] }),
  };
  const letter = LETTER_OF.get(type) ?? 'f';
  const rest = Object.keys(extra).length === 0 ? 0 : extra;
  return [letter, path, mode, uid, gid, size, mtime, offset, entry.digest ?? 0, rest];
}

function entryOf([letter, path, mode, uid, gid, size, mtime, offset, content, extra]: Row): TocEntry {
  const { link, xattrs, dev } = extra === 0 ? {} : extra;
  return {
    path,
    type: LETTERS[letter],
    mode,
    uid,
    gid,
    size,
    mtime,
    ...(link === undefined ? {} : { linkTarget: link }),
    ...(content === 0 ? {} : { digest: content }),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(dev === undefined ? {} : { devMajor: dev[0], devMinor: dev[1] }),
    offset,
  };
}
