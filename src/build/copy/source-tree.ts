import type { Digest } from '../../image/digest.js';
import type { FileStamp } from '../../layers/read-unchanged.js';
import type { EntryType } from '../../layers/toc.js';
import type { StoredLayer } from '../../store/layer-store.js';

/** Where the content of a file is. */
export type SourceContent =
  /** In a file of this machine that its owner may change at any time; `stats` is what its name and size were taken from. */
  | { readonly in: 'directory'; readonly file: string; readonly stats: FileStamp }
  /** In a layer of the store, at this offset of its tar. */
  | { readonly in: 'layer'; readonly layer: StoredLayer; readonly offset: number }
  /** In a file of our own that nobody changes, from `start` on. */
  | { readonly in: 'file'; readonly file: string; readonly start: number }
  | { readonly in: 'memory'; readonly bytes: Uint8Array };

/** Something that COPY can take. */
export interface SourceEntry {
  /** As it was asked for, relative to the root of its tree; `''` is the root itself. */
  readonly path: string;
  readonly type: Exclude<EntryType, 'hardlink' | 'whiteout' | 'opaque'> | 'socket';
  /** `mode & 0o7777`, without the bits that must not be taken from such a source. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file; 0 for anything else. */
  readonly size: number;
  /** Seconds; absent when the time says nothing about the content (see `neutralTime`). */
  readonly mtime?: number;
  readonly linkTarget?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly devMajor?: number;
  readonly devMinor?: number;
  /** Of a file. */
  readonly content?: SourceContent;
  /** Of a file's content, when it is known without reading. */
  readonly digest?: Digest;
  /** Files with the same one of a tree are hard links to each other. */
  readonly inode?: string;
  /** The ignore file that hides it. A hidden directory may hold something that is not hidden. */
  readonly hiddenBy?: string;
}

/** What COPY and ADD take from: the build context, a finished stage or image, or something made for one instruction. */
export interface SourceTree {
  /** What it is, for messages: `the build context /home/me/app`. */
  readonly what: string;
  /**
   * The entry a path names, links followed inside the tree. `path` stays as given: a link named `current` is copied under that name.
   * @returns undefined when there is none. @throws SlipwayError E_COPY when the path leaves the tree, or links go in circles.
   */
  find(path: string): SourceEntry | undefined;
  /** As {@link find}, for a name that a wildcard matched: a link that leads nowhere is the entry itself. Never throws for a link. */
  findMatch(path: string): SourceEntry | undefined;
  /** True when the last component of a path is a symbolic link. */
  isLink(path: string): boolean;
  /** The names directly inside a directory, hidden ones too, sorted. */
  names(dir: string): readonly string[];
  /** Everything below a directory that is not hidden, parents first; links stay links. Paths begin with `dir`. */
  walk(dir: string): Iterable<SourceEntry>;
}
