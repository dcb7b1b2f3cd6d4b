import { pathFromBytes } from '../../layers/path-bytes.js';

/** What really is at a path of a host. */
export interface ListedEntry {
  readonly type: 'file' | 'dir' | 'symlink' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds. */
  readonly mtime: number;
  readonly linkTarget: string;
}

/** A host's rootfs as it is, by path; the root itself is `''`. Empty when there is none. */
export type HostListing = ReadonlyMap<string, ListedEntry>;

const TYPES: Readonly<Record<string, ListedEntry['type']>> = { f: 'file', d: 'dir', l: 'symlink' };

/** GNU find's format for {@link parseListing}: eight fields for each path, each ended by NUL, which no path can have. */
export const LISTING_FORMAT = '%P\\0%y\\0%m\\0%U\\0%G\\0%s\\0%T@\\0%l\\0';

/** Reads what `find ROOTFS -printf FORMAT` prints. */
export function parseListing(bytes: Buffer): HostListing {
  const listing = new Map<string, ListedEntry>();
  const fields: Buffer[] = [];
  for (let at = 0, end = bytes.indexOf(0); end >= 0; at = end + 1, end = bytes.indexOf(0, at)) {
    fields.push(bytes.subarray(at, end));
    if (fields.length < 8) continue;
    const [path, type, mode, uid, gid, size, mtime, link] = fields.splice(0) as [Buffer, ...Buffer[]];
    const number = (field: Buffer | undefined): number => Number.parseInt(field?.toString('latin1') ?? '', 10);
    listing.set(pathFromBytes(path), {
      type: TYPES[type?.toString('latin1') ?? ''] ?? 'other',
      mode: Number.parseInt(mode?.toString('latin1') ?? '', 8),
      uid: number(uid),
      gid: number(gid),
      size: number(size),
      mtime: number(mtime),
      linkTarget: link === undefined ? '' : pathFromBytes(link),
    });
  }
  return listing;
}
