import { gunzipSync, gzipSync } from 'node:zlib';
import * as z from 'zod';
import { isDigest } from '../image/digest.js';
import type { WantedEntry } from './rootfs.js';

/** What a host says that it was given: every path, and the digest of each file. */
export type HostToc = ReadonlyMap<string, string | undefined>;

const VERSION = 1;
const headerSchema = z.object({ slipwayHostToc: z.literal(VERSION) });
const rowSchema = z.tuple([z.string(), z.string().refine(isDigest).or(z.literal(0))]);
/** More than any rootfs has; stops a bomb. */
const MOST_BYTES = 512 * 1024 * 1024;

/** The list that is kept on a host beside its rootfs: JSON lines, gzip. */
export function encodeHostToc(entries: readonly WantedEntry[]): Buffer {
  const rows = entries.map((entry) => JSON.stringify([entry.path, entry.type === 'file' ? entry.digest : 0]));
  return gzipSync([JSON.stringify({ slipwayHostToc: VERSION }), ...rows].join('\n'), { level: 6 });
}

/** Reads a host's list. Undefined when it cannot be read: then the host is looked at as if it had none. */
export function decodeHostToc(bytes: Uint8Array): HostToc | undefined {
  try {
    const [header = '', ...rows] = gunzipSync(bytes, { maxOutputLength: MOST_BYTES }).toString('utf8').split('\n');
    headerSchema.parse(JSON.parse(header));
    return new Map(
      rows.map((row) => {
        const [path, digest] = rowSchema.parse(JSON.parse(row));
        return [path, digest === 0 ? undefined : digest];
      }),
    );
  } catch {
    return undefined;
  }
}
