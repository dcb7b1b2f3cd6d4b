import type { Digest } from '../image/digest.js';

/**
 * What an entry of a layer is. `whiteout` hides the path of the same name in the layers below; `opaque` hides everything that the layers
 * below have inside the directory of that path (OCI image-spec, layer.md#whiteouts).
 */
export type EntryType = 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo' | 'whiteout' | 'opaque';

/**
 * One line of a layer's table of contents.
 *
 * `path` is relative to the root, without leading or trailing slash; the root itself is `''`. Bytes that are not UTF-8 are kept as
 * lone surrogates U+DC80…U+DCFF (Python's surrogateescape), see path-bytes.ts.
 */
export interface TocEntry {
  readonly path: string;
  readonly type: EntryType;
  /** Permission bits including setuid, setgid and sticky: `mode & 0o7777`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Content bytes; 0 for anything but a file. */
  readonly size: number;
  /** Whole seconds since the epoch. */
  readonly mtime: number;
  /** symlink: the text of the link. hardlink: the path of the entry it shares its content with. */
  readonly linkTarget?: string;
  /** sha256 of a file's content. */
  readonly digest?: Digest;
  /** Extended attributes, values in base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Where the entry's content begins in the uncompressed tar; where it would begin when there is none. */
  readonly offset: number;
}

/** The table of contents of one layer, in the order of the tar. */
export interface LayerToc {
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly unpackedSize: number;
  readonly entries: readonly TocEntry[];
}

/** A file of this machine that content is read from. */
export interface FileContent {
  readonly file: string;
  /** Its modification time (`mtimeMs`) when the entry was made. With it, packing notices changes since then, and is a little faster. */
  readonly mtimeMs?: number;
  /** Which file it was, and in which state: nothing is read from another one that has come to its place. */
  readonly identity?: { readonly dev: number; readonly ino: number; readonly ctimeMs: number };
  /** The content begins here and is only a part of the file, which nobody changes. Nothing but its length is checked then. */
  readonly start?: number;
}

/** Something to be packed: a TOC entry whose content comes from somewhere. */
export interface PackEntry extends Omit<TocEntry, 'offset' | 'digest'> {
  /** Where a file's content is. `file` is a path of this machine; `bytes` is held in memory (small generated files only). */
  readonly content?: FileContent | { readonly bytes: Uint8Array };
}

/** The number of entries that are content: neither whiteouts nor directories that are only there as parents count apart. */
export function countFiles(entries: readonly TocEntry[]): number {
  return entries.reduce(
    (count, { type }) => (type === 'file' || type === 'symlink' || type === 'hardlink' ? count + 1 : count),
    0,
  );
}

/** Byte-wise order of paths; a directory comes before what is in it. */
export function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
