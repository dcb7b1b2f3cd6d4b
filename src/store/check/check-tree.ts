import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../../image/digest.js';
import { joinPath, nameOf, parentOf } from '../../layers/layer-names.js';
import { mergeTocs } from '../../layers/merge.js';
import { fsPath } from '../../layers/path-bytes.js';
import { scanTree } from '../../layers/scan.js';
import { isSystemRoot, opaqueXattr } from '../../layers/system-root.js';
import type { EntryType, LayerToc, PackEntry, TocEntry } from '../../layers/toc.js';
import { readXattrs } from '../../layers/xattrs.js';

/** Differences that are told of one layer; after these it is wrong beyond doubt. */
const MOST = 5;
/** Links in one path, as in the kernel. */
const MAX_LINKS = 40;

/** What should be, or is, at one path. */
interface Facts {
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly linkTarget?: string | undefined;
  readonly devMajor?: number | undefined;
  readonly devMinor?: number | undefined;
}

interface Expected extends Facts {
  /** Files with the same content carrier are names of one file. */
  readonly same?: string;
  readonly digest?: Digest | undefined;
  readonly xattrs?: Readonly<Record<string, string>> | undefined;
  /** A parent that the layer has no entry for: only that it is a directory is known. */
  readonly implied: boolean;
}

/**
 * Compares a layer that was unpacked for overlayfs with its table of contents: types, modes, owners (where this process could give files
 * away), sizes, times of files, links, devices, whiteouts; with `content` every file is hashed too and extended attributes are read.
 * @returns the first few differences, one line each; nothing when it is whole.
 */
export async function checkTree(
  dir: string,
  toc: LayerToc,
  { content }: { readonly content: boolean },
): Promise<readonly string[]> {
  const expected = expectedTree(toc);
  const found = await scanTree(dir, { overlay: true, includeRoot: true });
  const problems: string[] = [];
  const there = new Map<string, PackEntry>(found.map((entry) => [entry.path, entry]));
  const hashed = new Set<string>();
  for (const [path, wanted] of expected) {
    if (problems.length >= MOST) return problems;
    const entry = there.get(path);
    if (entry === undefined) {
      problems.push(`${shown(path)} is missing`);
      continue;
    }
    const first = entry.type === 'hardlink' ? there.get(entry.linkTarget ?? '') : entry;
    const why = difference(wanted, first ?? entry, entry.linkTarget, entry.type === 'hardlink');
    if (why !== undefined) problems.push(`${shown(path)}: ${why}`);
    else if (content && wanted.digest !== undefined && !hashed.has(wanted.same ?? path)) {
      hashed.add(wanted.same ?? path);
      const digest = await digestOfFile(join(dir, path));
      if (digest !== wanted.digest) problems.push(`${shown(path)}: its content has the digest ${digest}`);
    }
  }
  for (const { path } of found) {
    if (problems.length >= MOST) return problems;
    if (!expected.has(path)) problems.push(`${shown(path)} is not in the layer`);
  }
  if (content && problems.length === 0) problems.push(...(await xattrProblems(dir, expected, toc)));
  return problems.slice(0, MOST);
}

/** What the layer makes when it is unpacked alone, by resolved path. */
function expectedTree(toc: LayerToc): ReadonlyMap<string, Expected> {
  const entries = withoutLinks(toc.entries);
  const said = new Set(entries.map(({ path }) => path));
  const tree = mergeTocs([{ ...toc, entries }]);
  const expected = new Map<string, Expected>();
  for (const { entry, source } of tree.entries()) {
    const { path } = entry;
    const facts = source === undefined ? entry : { ...source.entry, path };
    expected.set(path, {
      ...facts,
      ...(source === undefined ? {} : { same: source.entry.path, digest: source.entry.digest }),
      implied: !said.has(path),
    });
  }
  // Marks are made last, and never through what has turned out to be a link or a file.
  const makeDirectories = (path: string): boolean => {
    if (path !== '' && !makeDirectories(parentOf(path))) return false;
    if (!expected.has(path))
      expected.set(path, { type: 'dir', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, implied: true });
    return expected.get(path)?.type === 'dir';
  };
  for (const { path, type } of entries) {
    if (type !== 'whiteout' || !makeDirectories(parentOf(path)) || expected.has(path)) continue;
    expected.set(path, { type: 'whiteout', mode: 0, uid: 0, gid: 0, size: 0, mtime: 0, implied: true });
  }
  for (const { path, type } of entries) if (type === 'opaque') makeDirectories(path);
  return expected;
}

/** The entries with the links in their parents resolved as unpacking does: `lib/x` after `lib -> usr/lib` is `usr/lib/x`. Marks stay as they are. */
function withoutLinks(entries: readonly TocEntry[]): readonly TocEntry[] {
  const links = new Map<string, string>();
  return entries.map((entry) => {
    const { type, linkTarget } = entry;
    if (type === 'whiteout' || type === 'opaque') return entry;
    const path = links.size === 0 ? entry.path : resolved(entry.path, links);
    if (type === 'symlink') links.set(path, linkTarget ?? '');
    else links.delete(path);
    if (type === 'hardlink' && linkTarget !== undefined)
      return { ...entry, path, linkTarget: resolved(linkTarget, links) };
    return path === entry.path ? entry : { ...entry, path };
  });
}

function resolved(path: string, links: ReadonlyMap<string, string>): string {
  const todo = parentOf(path).split('/').reverse();
  const done: string[] = [];
  let hops = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      done.pop();
      continue;
    }
    const target = links.get([...done, part].join('/'));
    if (target === undefined || ++hops > MAX_LINKS) done.push(part);
    else {
      if (target.startsWith('/')) done.length = 0;
      todo.push(...target.split('/').reverse());
    }
  }
  return joinPath(done.join('/'), nameOf(path));
}

function difference(wanted: Expected, found: Facts, link: string | undefined, several: boolean): string | undefined {
  if (found.type !== wanted.type) return `it is a ${found.type}, the layer has a ${wanted.type}`;
  if (wanted.implied || wanted.type === 'whiteout') return undefined;
  if (wanted.type === 'symlink' && !several && link !== wanted.linkTarget)
    return `it leads to ${JSON.stringify(link)}, in the layer to ${JSON.stringify(wanted.linkTarget)}`;
  if (wanted.type !== 'symlink' && found.mode !== wanted.mode)
    return `its mode is ${octal(found.mode)}, in the layer ${octal(wanted.mode)}`;
  if (isSystemRoot() && (found.uid !== wanted.uid || found.gid !== wanted.gid))
    return `it belongs to ${found.uid}:${found.gid}, in the layer to ${wanted.uid}:${wanted.gid}`;
  if (wanted.type === 'file' && found.size !== wanted.size)
    return `it has ${found.size} bytes, in the layer ${wanted.size}`;
  // File systems clamp what they cannot keep.
  const time = wanted.mtime >= 0 && wanted.mtime < 2 ** 31;
  if (wanted.type === 'file' && time && found.mtime !== wanted.mtime) return 'it was changed after it was unpacked';
  if ((wanted.type === 'char' || wanted.type === 'block') && !sameDevice(wanted, found)) return 'it is another device';
  return undefined;
}

function sameDevice(a: Facts, b: Facts): boolean {
  return (a.devMajor ?? 0) === (b.devMajor ?? 0) && (a.devMinor ?? 0) === (b.devMinor ?? 0);
}

async function xattrProblems(
  dir: string,
  expected: ReadonlyMap<string, Expected>,
  { entries }: LayerToc,
): Promise<readonly string[]> {
  const isDirectory = (path: string): boolean => expected.get(path)?.type === 'dir';
  const opaque = new Set(entries.flatMap(({ path, type }) => (type === 'opaque' && isDirectory(path) ? [path] : [])));
  const wanted = [...expected].filter(([path, { xattrs }]) => xattrs !== undefined || opaque.has(path));
  const found = await readXattrs(
    dir,
    wanted.map(([path]) => path),
    { local: true },
  );
  const problems: string[] = [];
  for (const [index, [path, { xattrs = {} }]] of wanted.entries()) {
    const own = found[index] ?? {};
    if (opaque.has(path) && own[opaqueXattr()] === undefined) problems.push(`${shown(path)} is not opaque any more`);
    for (const [name, value] of Object.entries(xattrs)) {
      if ((isSystemRoot() || name.startsWith('user.')) && own[name] !== value)
        problems.push(`${shown(path)}: its attribute ${name} is not the layer's`);
    }
  }
  return problems;
}

async function digestOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(fsPath(file), { highWaterMark: 256 * 1024 })) hash.update(chunk as Buffer);
  return `sha256:${hash.digest('hex')}`;
}

function shown(path: string): string {
  return path === '' ? 'its root' : JSON.stringify(path);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
