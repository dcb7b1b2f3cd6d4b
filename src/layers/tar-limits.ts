import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';

/** What an archive may at most ask of whoever reads it. */
export interface TarLimits {
  readonly entries: number;
  /** Bytes of the uncompressed tar. */
  readonly totalBytes: number;
  /** Bytes of one path or link target; Linux's PATH_MAX. */
  readonly pathLength: number;
  /** Components of one path. */
  readonly depth: number;
  /** Bytes of one pax extended header. */
  readonly paxSize: number;
  /** Characters of all paths, link targets and extended attributes in the JSON of a table of contents: all of them are in memory at once. */
  readonly metadata: number;
  /** Uncompressed bytes for each compressed one, once more than 1 GiB has come out. */
  readonly ratio: number;
  /** Devices and FIFOs: each costs a process to make. */
  readonly specialFiles: number;
}

export const DEFAULT_LIMITS: TarLimits = {
  entries: 1_000_000,
  totalBytes: 512 * 1024 ** 3,
  pathLength: 4096,
  depth: 255,
  paxSize: 1024 * 1024,
  metadata: 128 * 1024 * 1024,
  ratio: 500,
  specialFiles: 10_000,
};

/**
 * @param shown the limit, for the message
 * @throws SlipwayError E_UNSAFE_ARCHIVE naming the limit when `value` is over it.
 */
export function checkLimit(
  value: number,
  limit: number,
  what: string,
  shown = limit >= 1024 * 1024 ? formatBytes(limit) : String(limit),
): void {
  if (value > limit) {
    throw unsafeArchive(`${what}: more than ${shown}`);
  }
}

/** @returns E_UNSAFE_ARCHIVE. */
export function unsafeArchive(why: string): SlipwayError {
  return new SlipwayError('E_UNSAFE_ARCHIVE', `refusing the archive: ${why}`, {
    hint: 'no honest tool makes such a layer; do not trust where it came from',
  });
}
