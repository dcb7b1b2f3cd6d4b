import type { Stats } from 'node:fs';
import { readlinkSync } from 'node:fs';
import { SlipwayError } from '../base/errors.js';
import { suggest } from '../base/suggest.js';
import { joinPath, parentOf } from '../layers/layer-names.js';
import type { MergedTree } from '../layers/merge.js';
import { fsPath, pathFromBytes } from '../layers/path-bytes.js';
import { comparePaths, type EntryType, type PackEntry } from '../layers/toc.js';
import type { BuildContext, ContextEntry } from './context.js';
import { compilePattern, hasWildcard, unescapePattern } from './wildcard.js';

export interface CopyRequest {
  /** Expanded, as written otherwise. */
  readonly sources: readonly string[];
  readonly destination: string;
  /** Absolute path that a relative destination starts from. */
  readonly workdir: string;
  readonly context: BuildContext;
  /** What is in the image so far. */
  readonly base: MergedTree;
  /** `kubefile`: a directory matched by a wildcard is copied under its own name; `docker`: its contents are. */
  readonly dialect: 'kubefile' | 'docker';
}

/** What one COPY puts into its layer: entries in tar order, and the lstat of every file for the digest memory. */
export interface CopyPlan {
  readonly entries: readonly PackEntry[];
  readonly stats: ReadonlyMap<string, Stats>;
  readonly warnings: readonly string[];
}

/** Something of the context on its way to a path of the image. */
interface Item {
  readonly from: ContextEntry;
  readonly to: string;
}

/**
 * Decides what a COPY does, without reading any content. Rules: docs/kubefile.md, "COPY".
 * @throws SlipwayError E_COPY: a source is missing (with the nearest name), hidden, or outside the context; file over directory;
 * several sources and a destination that is no directory; a socket.
 */
export function planCopy(request: CopyRequest): CopyPlan {
  const warnings: string[] = [];
  const matches = matchSources(request, warnings);
  const { base, destination, workdir } = request;
  const target = resolveDestination(base, destination, workdir);
  const isDirectory = /(?:^|\/)\.{0,2}$/.test(destination) || base.get(target)?.entry.type === 'dir' || target === '';
  if (
    matches.length > 1 &&
    !isDirectory &&
    !matches.every(({ entry, contents }) => contents && entry.stats.isDirectory())
  ) {
    throw new SlipwayError('E_COPY', `COPY of several sources: ${destination} is not a directory`, {
      hint: `write ${destination}/ if a directory is meant`,
    });
  }
  const items: Item[] = [];
  for (const { entry, contents } of matches) {
    const name =
      entry.path
        .split('/')
        .filter((part) => part !== '' && part !== '.')
        .at(-1) ?? '';
    const to = contents || !isDirectory ? target : joinPath(target, name);
    if (!contents) items.push({ from: entry, to });
    if (entry.stats.isDirectory()) {
      for (const below of request.context.walk(entry.path))
        items.push({ from: below, to: joinPath(to, relative(entry.path, below.path)) });
    }
  }
  const made = toEntries(items, base);
  // COPY of an empty directory's contents still makes the destination
  const wanted = isDirectory || matches.some(({ contents }) => contents) ? target : parentOf(target);
  return { entries: withParents(made.entries, base, wanted), stats: made.stats, warnings };
}

interface Match {
  readonly entry: ContextEntry;
  /** A directory whose contents are copied, rather than the directory under its name. */
  readonly contents: boolean;
}

function matchSources({ sources, context, dialect }: CopyRequest, warnings: string[]): Match[] {
  const matches: Match[] = [];
  const unmatched: string[] = [];
  for (const source of sources) {
    const path = source.replace(/^(?:\.?\/)+/, '');
    if (!hasWildcard(path)) {
      const entry = context.find(unescapePattern(path));
      if (entry === undefined) throw missing(context, source, unescapePattern(path));
      const hidden = entry.stats.isDirectory() ? undefined : context.hiddenBy(cleaned(path));
      if (hidden !== undefined)
        throw new SlipwayError('E_COPY', `${source}: ${hidden} hides it from the build`, {
          hint: 'take it out of the ignore file, or do not copy it',
        });
      matches.push({ entry, contents: entry.stats.isDirectory() });
      continue;
    }
    const found = matchWildcard(context, path, source);
    if (found.length === 0) unmatched.push(source);
    for (const entry of found) matches.push({ entry, contents: dialect === 'docker' && entry.stats.isDirectory() });
  }
  const [first] = unmatched;
  if (first !== undefined && matches.length === 0)
    throw new SlipwayError('E_COPY', `${first} matches nothing in the build context ${context.root}`);
  for (const source of unmatched) warnings.push(`${source} matches nothing in the build context`);
  return matches;
}

function matchWildcard(context: BuildContext, pattern: string, source: string): ContextEntry[] {
  const clean = pattern.split('/').filter((part) => part !== '' && part !== '.');
  if (clean.includes('..')) {
    throw new SlipwayError('E_COPY', `${source}: ".." cannot be used together with a wildcard`, {
      hint: 'name the directory directly',
    });
  }
  const matcher = compilePattern(clean.join('/'));
  if (matcher === undefined)
    throw new SlipwayError('E_COPY', `${source} is not a valid pattern`, {
      hint: 'a "[" needs its "]"; write "\\[" for the character itself',
    });
  const literal: string[] = [];
  while (clean.length > 1 && !hasWildcard(clean[0] as string)) literal.push(unescapePattern(clean.shift() as string));
  const start = literal.join('/');
  if (start !== '' && context.find(start)?.stats.isDirectory() !== true) return [];
  const found: ContextEntry[] = [];
  const deep = clean.some((part) => part.includes('**'));
  const depth = literal.length + clean.length;
  const visit = (dir: string): void => {
    for (const name of context.names(dir)) {
      const path = dir === '' ? name : `${dir}/${name}`;
      if (matcher.test(path)) {
        const entry = context.findMatch(path);
        if (
          entry !== undefined &&
          (entry.stats.isDirectory() || context.hiddenBy(path) === undefined) &&
          !isHiddenDirectory(context, entry)
        )
          found.push(entry);
      }
      if (deep || path.split('/').length < depth) {
        if (context.findMatch(path)?.stats.isDirectory()) visit(path);
      }
    }
  };
  visit(start);
  return found;
}

/** A hidden directory in which nothing is excepted is as if it were not there. */
function isHiddenDirectory(context: BuildContext, entry: ContextEntry): boolean {
  if (!entry.stats.isDirectory() || context.hiddenBy(entry.path) === undefined) return false;
  return context.walk(entry.path).next().done === true;
}

/** The path in the image that a destination means, links of the image followed; relative, without slashes at the ends. */
function resolveDestination(base: MergedTree, destination: string, workdir: string): string {
  return base.resolve(destination.startsWith('/') ? destination : `${workdir}/${destination}`).path;
}

function toEntries(
  items: readonly Item[],
  base: MergedTree,
): { entries: Map<string, PackEntry>; stats: Map<string, Stats> } {
  const entries = new Map<string, PackEntry>();
  const stats = new Map<string, Stats>();
  const firstOfInode = new Map<string, string>();
  for (const { from, to } of items) {
    const type = typeOf(from);
    const earlier = entries.get(to)?.type ?? base.get(to)?.entry.type;
    if (earlier !== undefined && (earlier === 'dir') !== (type === 'dir')) {
      const [a, b] = type === 'dir' ? ['directory', 'file or link'] : ['file', 'directory'];
      throw new SlipwayError('E_COPY', `cannot copy the ${a} ${from.path || '.'} over the ${b} /${to} of the image`, {
        hint: 'choose another destination',
      });
    }
    if (to === '') continue; // the root itself keeps its attributes
    const common = {
      path: to,
      uid: 0,
      gid: 0,
      mtime: Math.floor(from.stats.mtimeMs / 1000),
      mode: modeOf(from.stats, type),
    };
    const inode = `${from.stats.dev}:${from.stats.ino}`;
    const first = type === 'file' && from.stats.nlink > 1 ? firstOfInode.get(inode) : undefined;
    if (first !== undefined && first !== to && entries.get(first)?.type === 'file') {
      entries.set(to, { ...common, type: 'hardlink', size: 0, linkTarget: first });
    } else if (type === 'file') {
      if (from.stats.nlink > 1) firstOfInode.set(inode, to);
      stats.set(from.file, from.stats);
      entries.set(to, { ...common, type, size: from.stats.size, content: { file: from.file } });
    } else if (type === 'symlink') {
      const linkTarget = pathFromBytes(readlinkSync(fsPath(from.file), { encoding: 'buffer' }));
      entries.set(to, { ...common, type, size: 0, linkTarget });
    } else {
      entries.set(to, { ...common, type, size: 0 });
    }
  }
  return { entries: hardlinksAfterFiles(entries), stats };
}

/** In tar order a hard link must come after the file it names: where sorting would turn them round, the two change places. */
function hardlinksAfterFiles(entries: Map<string, PackEntry>): Map<string, PackEntry> {
  const groups = new Map<string, PackEntry[]>();
  for (const entry of entries.values()) {
    if (entry.type === 'hardlink' && entry.linkTarget !== undefined)
      groups.set(entry.linkTarget, [...(groups.get(entry.linkTarget) ?? []), entry]);
  }
  for (const [target, links] of groups) {
    const file = entries.get(target);
    if (file === undefined) continue;
    const [first, ...rest] = [file, ...links].map(({ path }) => path).sort(comparePaths) as [string, ...string[]];
    entries.set(first, { ...file, path: first });
    const { content: _content, ...attributes } = file;
    for (const path of rest) entries.set(path, { ...attributes, path, type: 'hardlink', size: 0, linkTarget: first });
  }
  return entries;
}

/** Adds every directory above the entries, with its real attributes, and sorts. */
function withParents(entries: Map<string, PackEntry>, base: MergedTree, wanted: string): PackEntry[] {
  // A directory that nobody made has no time of its own; one taken from its content keeps builds reproducible.
  let newest = 0;
  for (const { mtime } of entries.values()) newest = Math.max(newest, mtime);
  const all = new Map(entries);
  const addDirectory = (path: string): void => {
    for (let dir = path; dir !== '' && !all.has(dir); dir = parentOf(dir)) {
      const below = base.get(dir)?.entry;
      if (below !== undefined && below.type !== 'dir') {
        throw new SlipwayError('E_COPY', `/${dir} of the image is not a directory, so nothing can be copied into it`);
      }
      all.set(
        dir,
        below === undefined
          ? { path: dir, type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, mtime: newest }
          : {
              path: dir,
              type: 'dir',
              mode: below.mode,
              uid: below.uid,
              gid: below.gid,
              size: 0,
              mtime: below.mtime,
              ...(below.xattrs === undefined ? {} : { xattrs: below.xattrs }),
            },
      );
    }
  };
  for (const path of entries.keys()) addDirectory(parentOf(path));
  if (base.get(wanted) === undefined) addDirectory(wanted);
  return [...all.values()].sort((a, b) => comparePaths(a.path, b.path));
}

function typeOf({ stats, path }: ContextEntry): EntryType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  const kind = stats.isSocket() ? 'socket' : 'device';
  throw new SlipwayError('E_COPY', `${path} is a ${kind}, which cannot be in an image`, {
    hint: 'remove it, or hide it with a line in .dockerignore',
  });
}

/** Permission bits; setuid and setgid are not taken from a context: nobody asked for them on the cluster's hosts. */
function modeOf(stats: Stats, type: EntryType): number {
  return type === 'symlink' ? 0o777 : stats.mode & 0o1777;
}

function missing(context: BuildContext, source: string, path: string): SlipwayError {
  const clean = cleaned(path);
  const dir = parentOf(clean);
  const near = context.find(dir)?.stats.isDirectory()
    ? suggest(clean.slice(dir === '' ? 0 : dir.length + 1), context.names(dir))
    : undefined;
  const hint = near === undefined ? undefined : { hint: `did you mean ${joinPath(dir, near)}?` };
  return new SlipwayError('E_COPY', `${source} is not in the build context ${context.root}`, hint);
}

function cleaned(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/');
}

function relative(dir: string, path: string): string {
  return dir === '' ? path : path.slice(dir.length + 1);
}
