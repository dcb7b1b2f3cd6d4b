import type { HostListing } from './host-listing.js';
import type { HostToc } from './host-toc.js';
import type { WantedEntry } from './rootfs.js';
import type { TocDifference } from './toc-difference.js';

/**
 * Several may put files into one directory: the cluster and applications into that of the registry. Each has a list of its own; a file
 * stays as long as one list has it.
 */

/** One list of several; of what two of them disagree on the content is not known. */
export function joinTocs(tocs: readonly HostToc[]): HostToc {
  const joined = new Map<string, string | undefined>();
  for (const [path, digest] of tocs.flatMap((toc) => [...toc]))
    joined.set(path, joined.has(path) && joined.get(path) !== digest ? undefined : digest);
  return joined;
}

/** A list as seen from a directory in the tree that it is of. */
export function tocWithin(toc: HostToc, dir: string): HostToc {
  const inside = `${dir}/`;
  return new Map(
    [...toc].flatMap(([path, digest]) =>
      path.startsWith(inside) ? [[path.slice(inside.length), digest] as const] : [],
    ),
  );
}

/** The other way round: a list as seen from above its directory. */
export function tocBeneath(toc: HostToc, dir: string): HostToc {
  return new Map([...toc].map(([path, digest]) => [`${dir}/${path}`, digest]));
}

/** A difference that leaves what others have put there. */
export function keepingOthers(difference: TocDifference, others: HostToc): TocDifference {
  if (others.size === 0) return difference;
  const isFree = (path: string): boolean => !others.has(path);
  return {
    ...difference,
    remove: difference.remove.filter(isFree),
    removeDirs: difference.removeDirs.filter(isFree),
  };
}

/**
 * A difference that changes nothing of what others have put there: what they have is taken as it is, whatever its time and mode, and
 * nothing of theirs is removed.
 */
export function besideOthers(difference: TocDifference, others: HostToc, listing: HostListing): TocDifference {
  const isTheirs = (entry: WantedEntry): boolean => {
    if (!others.has(entry.path)) return false;
    const there = listing.get(entry.path);
    if (there?.type !== entry.type) return false;
    if (entry.type !== 'file') return true;
    const theirs = others.get(entry.path);
    // One that is not whole any more is mended.
    return theirs !== undefined && (theirs !== entry.digest || there.size === entry.size);
  };
  const send = difference.send.filter((entry) => !isTheirs(entry));
  return {
    ...keepingOthers(difference, others),
    send,
    clear: difference.clear.filter((path) => send.some((entry) => entry.path === path)),
    adjust: difference.adjust.filter(({ path }) => !others.has(path)),
    bytes: send.reduce((sum, entry) => sum + (entry.type === 'file' ? entry.size : 0), 0),
  };
}

/** Files that others have with another content. Where theirs is not known there is no saying. */
export function conflicts(wanted: readonly WantedEntry[], others: HostToc): readonly string[] {
  return wanted.flatMap((entry) => {
    const theirs = entry.type === 'file' ? others.get(entry.path) : undefined;
    return entry.type === 'file' && theirs !== undefined && theirs !== entry.digest ? [entry.path] : [];
  });
}

const TAG = /^docker\/registry\/v2\/repositories\/(.+)\/_manifests\/tags\/([^/]+)\/current\/link$/;

/** `library/redis:7` for the file of a registry's directory that says what a tag stands for; other paths as they are. */
export function taggedImage(path: string): string {
  const [, repository, tag] = TAG.exec(path) ?? [];
  return repository === undefined ? path : `${repository}:${tag}`;
}
