import {
  chmodSync,
  closeSync,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../base/errors.js';
import { covered, type OwnerRanges } from '../base/id-map.js';
import { joinPath, nameOf, parentOf } from './layer-names.js';
import { makeNode } from './make-node.js';
import { namesIn } from './names-in.js';
import { NEW_FILE, type NewFile, newFileIn } from './new-file.js';
import { OverlayMarks } from './overlay-marks.js';
import { fsPath } from './path-bytes.js';
import { SafeRoot } from './safe-root.js';
import { checkLimit, DEFAULT_LIMITS, type TarLimits, unsafeArchive } from './tar-limits.js';
import { readTar } from './tar-reader.js';
import type { TocEntry } from './toc.js';
import { layerEntryOf, type TocBuilder } from './toc-builder.js';
import { writeXattrs, type Xattrs, type XattrWriter } from './xattrs.js';

type Entry = Omit<TocEntry, 'digest'>;

export interface TreeWriterOptions {
  readonly whiteouts: 'apply' | 'overlay';
  /** The attribute of an opaque directory, for `overlay`. */
  readonly opaqueXattr: string;
  /** Files are given to these owners; undefined: they stay those of this process. */
  readonly owners?: OwnerRanges;
  readonly setuid: boolean;
  readonly allowDevices: boolean;
  /** Set `security.*` (but for capabilities), `trusted.*` and `system.*` attributes as well as `user.*`. */
  readonly allXattrs: boolean;
  /** Set file capabilities, which root of a user namespace may do too. */
  readonly capabilities: boolean;
  readonly specialFiles?: number;
}

/**
 * Reads the tar of a layer and writes what is in it into the directory `root`, listing it in `toc` if that is given.
 *
 * @param root a real, absolute path.
 * @param setXattrs how extended attributes are set.
 * @throws SlipwayError as unpackLayer does.
 */
export async function writeTar(
  tar: AsyncIterable<Buffer>,
  root: string,
  options: TreeWriterOptions,
  limits: Partial<TarLimits> = {},
  toc?: TocBuilder,
  setXattrs: XattrWriter = writeXattrs,
): Promise<void> {
  const writer = new TreeWriter(root, options);
  try {
    await readTar(
      tar,
      {
        member(member) {
          const entry = layerEntryOf(member);
          toc?.begin(entry);
          if (entry !== undefined) writer.begin(entry);
        },
        content(piece) {
          toc?.content(piece);
          writer.content(piece);
        },
        end() {
          toc?.end();
          writer.end();
        },
      },
      limits,
    );
    await writer.finish(setXattrs);
  } finally {
    writer.close();
  }
}

const SETID = 0o6000;
const CAPABILITY = 'security.capability';

/**
 * Writes the entries of one layer, in the order of its tar, into a directory. File operations are synchronous: for the small files that
 * layers are made of, each trip through the thread pool costs more than the operation.
 */
class TreeWriter {
  readonly #root: SafeRoot;
  readonly #options: TreeWriterOptions;
  /** Resolved paths that this layer made, and their parents. Whiteouts leave them alone. */
  readonly #made = new Set<string>();
  readonly #marks: OverlayMarks | undefined;
  readonly #newFile: NewFile | undefined;
  /** Attributes that directories get in the end, by path in the layer. */
  readonly #directories = new Map<string, Entry>();
  readonly #xattrs = new Map<string, Xattrs>();
  #open: { readonly fd: number; readonly entry: Entry } | undefined;
  #specialFiles = 0;

  /** @param root a real, absolute path. */
  constructor(root: string, options: TreeWriterOptions) {
    this.#root = new SafeRoot(root);
    this.#options = options;
    this.#marks = options.whiteouts === 'overlay' ? new OverlayMarks(options.opaqueXattr) : undefined;
    this.#newFile = newFileIn(root);
  }

  /** Makes an entry; a file's content follows. */
  begin(entry: Entry): void {
    try {
      switch (entry.type) {
        case 'whiteout':
          if (this.#marks === undefined) this.#hide(entry.path);
          else this.#marks.whiteout(entry.path);
          break;
        case 'opaque':
          if (this.#marks === undefined) this.#hideBelow(entry.path);
          else this.#marks.opaque(entry.path);
          break;
        default:
          this.#make(entry);
      }
    } catch (error) {
      throw failure(error, entry.path);
    }
  }

  content(piece: Buffer): void {
    if (this.#open === undefined) return;
    const { fd, entry } = this.#open;
    try {
      for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
    } catch (error) {
      throw failure(error, entry.path);
    }
  }

  end(): void {
    if (this.#open === undefined) return;
    const { fd, entry } = this.#open;
    const mode = this.#modeOf(entry);
    const got = this.#newFile;
    try {
      // The kernel takes setuid and setgid bits away when the owner changes.
      if (this.#givesAway(entry) && (got?.uid !== entry.uid || got.gid !== entry.gid))
        fchownSync(fd, entry.uid, entry.gid);
      if (got === undefined || (mode & got.bits) !== mode) fchmodSync(fd, mode);
      futimesSync(fd, fileTime(entry), fileTime(entry));
    } catch (error) {
      throw failure(error, entry.path);
    } finally {
      this.close();
    }
  }

  /** What can only be done once everything is there: overlayfs's marks, extended attributes, the attributes of directories. */
  async finish(setXattrs: XattrWriter): Promise<void> {
    await this.#marks?.write(this.#root, setXattrs);
    const attributes = [...this.#xattrs].flatMap(([path, xattrs]) => {
      const resolved = this.#find(path);
      return resolved === undefined ? [] : [{ path: resolved, xattrs }];
    });
    if (attributes.length > 0) await setXattrs(this.#root.absolute(''), attributes);
    // What is inside comes first: a directory that may not be written to or searched closes it off.
    for (const [path, entry] of [...this.#directories].sort(([a], [b]) => (a < b ? 1 : -1))) {
      const resolved = this.#find(path);
      if (resolved === undefined || this.#root.stat(resolved)?.isDirectory() !== true) continue;
      const file = fsPath(this.#root.absolute(resolved));
      try {
        if (this.#givesAway(entry)) lchownSync(file, entry.uid, entry.gid);
        chmodSync(file, entry.mode);
        lutimesSync(file, fileTime(entry), fileTime(entry));
      } catch (error) {
        throw failure(error, path);
      }
    }
  }

  /** Closes the file that is being written, if any. */
  close(): void {
    if (this.#open === undefined) return;
    const { fd } = this.#open;
    this.#open = undefined;
    closeSync(fd);
  }

  /** A path of the layer with the links in its parents resolved, not in its last component; undefined when its parent is gone. */
  #find(path: string): string | undefined {
    if (path === '') return '';
    const parent = this.#root.findDirectory(parentOf(path));
    return parent === undefined ? undefined : joinPath(parent, nameOf(path));
  }

  #make(entry: Entry): void {
    const { path, type } = entry;
    this.#keepXattrs(entry);
    if (type === 'dir') this.#directories.set(path, entry);
    if (path === '') return;
    const resolved = joinPath(this.#root.makeDirectory(parentOf(path)), nameOf(path));
    const file = this.#root.absolute(resolved);
    switch (type) {
      case 'file': {
        const mode = this.#newFile === undefined ? 0o600 : this.#modeOf(entry) & 0o777;
        this.#open = { fd: this.#placed(resolved, () => openSync(fsPath(file), NEW_FILE, mode)), entry };
        break;
      }
      case 'dir':
        this.#makeDirectory(resolved, file);
        break;
      case 'symlink':
        this.#placed(resolved, () => symlinkSync(fsPath(entry.linkTarget ?? ''), fsPath(file)));
        this.#dress(entry, file);
        break;
      case 'hardlink':
        this.#link(entry, resolved);
        break;
      case 'char':
      case 'block':
      case 'fifo':
        this.#makeSpecial(entry, type, resolved, file);
        break;
      default:
        break;
    }
    if (this.#marks === undefined) this.#remember(resolved);
  }

  /** Makes something new at a resolved path; whatever was there, a link above all, is removed and not written through. */
  #placed<T>(resolved: string, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      this.#root.remove(resolved);
      return make();
    }
  }

  #makeDirectory(resolved: string, file: string): void {
    try {
      mkdirSync(fsPath(file), 0o700);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      const there = this.#root.stat(resolved);
      if (there?.isDirectory() === true) {
        // Its own mode comes in the end; until then its owner must be able to write into it.
        if (this.#options.owners === undefined) chmodSync(fsPath(file), there.mode | 0o700);
        return;
      }
      this.#root.remove(resolved, there);
      mkdirSync(fsPath(file), 0o700);
    }
  }

  #link({ path, linkTarget = '' }: Entry, resolved: string): void {
    const target = this.#find(linkTarget);
    const stats = target === undefined || target === '' ? undefined : this.#root.stat(target);
    if (target === undefined || stats === undefined || stats.isDirectory() || target === resolved) {
      const what = `${JSON.stringify(path)} is a hard link to ${JSON.stringify(linkTarget)}`;
      throw new SlipwayError('E_BAD_ARCHIVE', `cannot unpack the archive: ${what}, which is no file in it`, {
        hint: 'the archive is damaged, or only a part of one',
      });
    }
    const from = fsPath(this.#root.absolute(target));
    this.#placed(resolved, () => linkSync(from, fsPath(this.#root.absolute(resolved))));
  }

  #makeSpecial(entry: Entry, type: 'char' | 'block' | 'fifo', resolved: string, file: string): void {
    if (type !== 'fifo' && !this.#options.allowDevices) {
      throw unsafeArchive(`${JSON.stringify(entry.path)} is a device`);
    }
    checkLimit(
      ++this.#specialFiles,
      this.#options.specialFiles ?? DEFAULT_LIMITS.specialFiles,
      'it has too many devices and FIFOs',
    );
    this.#root.remove(resolved);
    makeNode(file, type, { major: entry.devMajor ?? 0, minor: entry.devMinor ?? 0 });
    this.#dress(entry, file);
  }

  /** Owner, mode and time of something that is no file and no directory. */
  #dress(entry: Entry, file: string): void {
    const path = fsPath(file);
    if (this.#givesAway(entry)) lchownSync(path, entry.uid, entry.gid);
    if (entry.type !== 'symlink') chmodSync(path, this.#modeOf(entry));
    lutimesSync(path, fileTime(entry), fileTime(entry));
  }

  /** In a user namespace there are owners that nobody in it can be; what they have stays ours. */
  #givesAway({ uid, gid }: Entry): boolean {
    return this.#options.owners !== undefined && covered(this.#options.owners, uid, gid);
  }

  #modeOf({ mode }: Entry): number {
    return this.#options.setuid ? mode : mode & ~SETID;
  }

  #keepXattrs({ path, type, xattrs }: Entry): void {
    const { allXattrs, capabilities, setuid } = this.#options;
    // A file capability is a finer setuid bit.
    const kept = Object.entries(xattrs ?? {}).filter(([name]) =>
      name === CAPABILITY ? capabilities && setuid : allXattrs || name.startsWith('user.'),
    );
    if (kept.length > 0 && type !== 'hardlink') this.#xattrs.set(path, Object.fromEntries(kept));
    else this.#xattrs.delete(path);
  }

  #remember(resolved: string): void {
    for (let path = resolved; !this.#made.has(path); path = parentOf(path)) {
      this.#made.add(path);
      if (path === '') return;
    }
  }

  #hide(path: string): void {
    if (this.#root.isPlainDirectory(parentOf(path))) this.#removeLower(path);
  }

  #hideBelow(dir: string): void {
    if (!this.#root.isPlainDirectory(dir)) return;
    for (const name of namesIn(this.#root.absolute(dir))) this.#removeLower(joinPath(dir, name));
  }

  /** Removes what is at a path without links, but not what this layer made. */
  #removeLower(path: string): void {
    const stats = this.#root.stat(path);
    if (stats === undefined) return;
    if (!this.#made.has(path)) this.#root.remove(path, stats);
    else if (stats.isDirectory()) this.#hideBelow(path);
  }
}

/** Node takes numbers below zero for "now", and dates for what they are. File systems clamp what they cannot keep. */
function fileTime({ mtime }: Entry): number | Date {
  return mtime < 0 ? new Date(Math.max(mtime, -1e12) * 1000) : mtime;
}

/** What the kernel says when a layer asks for something that cannot be. */
const CONTRADICTIONS: Readonly<Record<string, string>> = {
  ENAMETOOLONG: 'its name is too long for the file system',
  EINVAL: 'the file system does not take it',
  ENOENT: 'it replaces what it needs',
  EMLINK: 'it has more names than the file system allows',
};

function failure(error: unknown, path: string): unknown {
  if (isSlipwayError(error)) return error;
  const why = CONTRADICTIONS[errnoOf(error) ?? ''];
  if (why === undefined) return fileSystemError(error, `unpacking ${JSON.stringify(path)}`);
  return new SlipwayError('E_BAD_ARCHIVE', `cannot unpack ${JSON.stringify(path)}: ${why}`, { cause: error });
}
