import type { ListedEntry } from '../files/host-listing.js';
import type { HostTocRow } from '../files/host-toc.js';
import { AGAIN, briefly, type Finding } from './finding.js';
import type { GatheredHost } from './host-facts.js';

const OTHER_CONTENT = 'its content is another one';

/** How the rootfs of a host differs from what it was given, by its own list. Pure. */
export function driftFindings(
  host: string,
  { given, halfSent, listing, verified }: Pick<GatheredHost, 'given' | 'halfSent' | 'listing' | 'verified'>,
): Finding[] {
  // Of a file whose size and time are as they were, only a look into it tells, which a run does not take.
  const finding = (what: string, why: string, items?: readonly string[], unlike = false): Finding[] => [
    {
      severity: 'problem',
      host,
      check: 'drift',
      what,
      why,
      fix: `${unlike ? 'remove on the host what has another content, then ' : ''}${AGAIN}: only what differs is sent`,
      ...(items === undefined ? {} : { items }),
    },
  ];
  if (halfSent) return finding('files of the image were sent by half', 'a transfer was cut off, or is on its way now');
  if (given === undefined)
    return finding('nothing says what files the host was given', 'its list is missing or damaged');
  if (given.length > 0 && !listing.has('')) return finding('the files of the image are gone', 'there is no rootfs');
  const items = given.flatMap((row) => {
    const how = difference(row, listing.get(row.path), verified);
    return how === undefined ? [] : [`${row.path}: ${how}`];
  });
  if (items.length === 0) return [];
  return finding(
    items.length === 1 ? '1 file is not as it was sent' : `${items.length} files are not as they were sent`,
    briefly(items, '; '),
    items,
    items.some((item) => item.endsWith(OTHER_CONTENT)),
  );
}

const TYPES: Readonly<Record<ListedEntry['type'], string>> = {
  file: 'a file',
  dir: 'a directory',
  symlink: 'a link',
  other: 'something else',
};

/** How what is at a path differs from what was put there; undefined when it does not. */
function difference(
  { path, digest, attributes }: HostTocRow,
  there: ListedEntry | undefined,
  verified: ReadonlySet<string> | undefined,
): string | undefined {
  if (there === undefined) return 'missing';
  if (digest !== undefined && there.type !== 'file') return `${TYPES[there.type]}, not a file`;
  if (digest !== undefined && verified !== undefined && !verified.has(path)) return OTHER_CONTENT;
  if (attributes === undefined) return undefined;
  const { type, mode, uid, gid, size, mtime, linkTarget } = attributes;
  if (there.type !== type) return `${TYPES[there.type]}, not ${TYPES[type]}`;
  if (type === 'symlink')
    return there.linkTarget === linkTarget ? owner(there, uid, gid) : `leads to ${there.linkTarget}`;
  if (size !== undefined && there.size !== size) return `${there.size} bytes, not ${size}`;
  if (mode !== there.mode) return `mode ${there.mode.toString(8)}, not ${mode.toString(8)}`;
  // A file whose content was looked into and is right was only touched.
  if (mtime !== undefined && there.mtime !== mtime && verified === undefined) return 'written since';
  return owner(there, uid, gid);
}

function owner(there: ListedEntry, uid: number, gid: number): string | undefined {
  return there.uid === uid && there.gid === gid ? undefined : `owner ${there.uid}:${there.gid}, not ${uid}:${gid}`;
}
