import { gunzipSync, gzipSync } from 'node:zlib';
import * as z from 'zod';
import { isDigest } from '../../image/digest.js';
import type { WantedEntry } from './rootfs.js';

/** What a host says that it was given: every path, and the digest of each file. */
export type HostToc = ReadonlyMap<string, string | undefined>;

const VERSION = 1;
const headerSchema = z.object({ slipwayHostToc: z.literal(VERSION) });
const digest = z.string().refine(isDigest).or(z.literal(0));
const attributesSchema = z.object({
  type: z.enum(['file', 'dir', 'symlink']),
  mode: z.number(),
  uid: z.number(),
  gid: z.number(),
  /** Of files. */
  size: z.number().optional(),
  mtime: z.number().optional(),
  /** Of links. */
  linkTarget: z.string().optional(),
});
const rowSchema = z.union([z.tuple([z.string(), digest, attributesSchema]), z.tuple([z.string(), digest])]);
/** More than any rootfs has; stops a bomb. */
const MOST_BYTES = 512 * 1024 * 1024;

/** What a host was given at a path. */
export interface HostTocRow {
  readonly path: string;
  /** Of a file. */
  readonly digest: string | undefined;
  /** Undefined in lists that were written before they had these. */
  readonly attributes: z.infer<typeof attributesSchema> | undefined;
}

/** The list that is kept on a host beside its rootfs: JSON lines, gzip. */
export function encodeHostToc(entries: readonly WantedEntry[]): Buffer {
  const rows = entries.map((entry) => {
    const { path, type, mode, uid, gid } = entry;
    const common = { type, mode, uid, gid };
    if (entry.type === 'file')
      return JSON.stringify([path, entry.digest, { ...common, size: entry.size, mtime: entry.mtime }]);
    return JSON.stringify([path, 0, entry.type === 'symlink' ? { ...common, linkTarget: entry.linkTarget } : common]);
  });
  return gzipSync([JSON.stringify({ slipwayHostToc: VERSION }), ...rows].join('\n'), { level: 6 });
}

/** Reads a host's list. Undefined when it cannot be read: then the host is looked at as if it had none. */
export function decodeHostToc(bytes: Uint8Array): HostToc | undefined {
  const rows = decodeHostTocRows(bytes);
  return rows === undefined ? undefined : new Map(rows.map(({ path, digest }) => [path, digest]));
}

/** Reads a host's list, with all that it says. Undefined when it cannot be read. */
export function decodeHostTocRows(bytes: Uint8Array): readonly HostTocRow[] | undefined {
  try {
    const [header = '', ...rows] = gunzipSync(bytes, { maxOutputLength: MOST_BYTES }).toString('utf8').split('\n');
    headerSchema.parse(JSON.parse(header));
    return rows.map((row) => {
      const [path, digest, attributes] = rowSchema.parse(JSON.parse(row));
      return { path, digest: digest === 0 ? undefined : digest, attributes };
    });
  } catch {
    return undefined;
  }
}
