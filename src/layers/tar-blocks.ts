import { createHash, hash } from 'node:crypto';
import { closeSync, fstatSync, openSync, read, readSync, type Stats } from 'node:fs';
import { promisify } from 'node:util';
import { fileSystemError, SlipwayError } from '../base/errors.js';
import { type Digest, sha256Digest } from '../image/digest.js';
import { fsPath } from './path-bytes.js';
import { fileChanged, SOURCE_FLAGS, sourceFileError } from './source-file.js';
import { TAR_BLOCK, tarPadding, writeTarHeader } from './tar-header.js';
import type { FileContent, PackEntry, TocEntry } from './toc.js';

export interface TarBlocksOptions {
  /** No entry gets a later modification time than this, in seconds (SOURCE_DATE_EPOCH). */
  readonly mtimeClamp?: number;
  /** Bytes of each block given out, a multiple of 512. Default 1 MiB. */
  readonly blockSize?: number;
  readonly signal?: AbortSignal;
  /** Gives a block to fill, of `blockSize` bytes. Default: a new one each time. */
  readonly newBlock?: () => Buffer;
  /** Called for each entry once its content is in the tar. */
  readonly onEntry?: (entry: TocEntry) => void;
}

export const TAR_OUTPUT_BLOCK = 1024 * 1024;
/** Files up to this many bytes are read synchronously: opening, reading and closing costs less than one trip through the thread pool. */
const SMALL_FILE = 128 * 1024;
const readInto = promisify(read);

/**
 * The bytes of a tar, as blocks of `blockSize` (the last one is shorter). Each content byte is read once and hashed on the way; small
 * files are read synchronously straight into the block, big ones through the thread pool. Not more than one block is held.
 * A block belongs to whoever took it.
 *
 * @throws SlipwayError E_FILE_CHANGED for a file that is not what its entry says or changes while it is read, E_PERMISSION.
 */
export async function* tarBlocks(entries: Iterable<PackEntry>, options: TarBlocksOptions): AsyncGenerator<Buffer> {
  const { blockSize = TAR_OUTPUT_BLOCK, mtimeClamp = Number.POSITIVE_INFINITY, signal, onEntry } = options;
  const newBlock = options.newBlock ?? (() => Buffer.allocUnsafeSlow(blockSize));
  let block = newBlock();
  let used = 0;
  let before = 0;

  function* put(bytes: Uint8Array): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const piece = Math.min(bytes.length - at, blockSize - used);
      block.set(bytes.subarray(at, at + piece), used);
      at += piece;
      used += piece;
      if (used === blockSize) yield turn();
    }
  }
  function turn(): Buffer {
    const full = block;
    before += blockSize;
    block = newBlock();
    used = 0;
    return full;
  }

  for (const entry of entries) {
    const mtime = Math.min(entry.mtime, mtimeClamp);
    // Headers are as long as a tar block and so never straddle two output blocks, but a pax header that comes first may.
    const pax = writeTarHeader(block, used, entry, mtime);
    if (pax === undefined) {
      used += TAR_BLOCK;
      if (used === blockSize) yield turn();
    } else {
      const header = Buffer.from(block.subarray(used, used + TAR_BLOCK));
      yield* put(pax);
      yield* put(header);
    }
    const offset = before + used;
    let digest: Digest | undefined;

    if (entry.type === 'file') {
      if (entry.content === undefined || 'bytes' in entry.content) {
        const bytes = entry.content?.bytes ?? new Uint8Array(0);
        if (bytes.length !== entry.size) throw wrongSize(entry);
        digest = sha256Digest(hash('sha256', bytes, 'hex'));
        yield* put(bytes);
      } else {
        const { file, mtimeMs, identity, start } = entry.content;
        const fd = openSource(file);
        try {
          // A time from the walk through the directory saves asking twice; another file must not even be read.
          const ask = start === undefined && (mtimeMs === undefined || identity !== undefined);
          const before = ask ? checkedStats(fd, file, entry) : undefined;
          if (identity !== undefined && before !== undefined && !isSame(before, identity)) {
            throw fileChanged(file, 'it is another file now, or was written to');
          }
          if (entry.size <= SMALL_FILE && entry.size <= blockSize - used) {
            const got = entry.size === 0 ? 0 : readWhole(fd, block, used, entry.size, start);
            if (got !== entry.size) throw fileChanged(file, 'it became shorter');
            digest = sha256Digest(hash('sha256', block.subarray(used, used + got), 'hex'));
            used += got;
            if (used === blockSize) yield turn();
          } else {
            const hashing = createHash('sha256');
            let left = entry.size;
            let position = start;
            while (left > 0) {
              signal?.throwIfAborted();
              const wanted = Math.min(left, blockSize - used);
              const { bytesRead } = await readInto(fd, block, used, wanted, position ?? null);
              if (bytesRead === 0) throw fileChanged(file, 'it became shorter');
              hashing.update(block.subarray(used, used + bytesRead));
              left -= bytesRead;
              used += bytesRead;
              if (position !== undefined) position += bytesRead;
              if (used === blockSize) yield turn();
            }
            digest = sha256Digest(hashing.digest('hex'));
          }
          const after = start === undefined ? checkedStats(fd, file, entry) : undefined;
          if (
            after !== undefined &&
            (after.mtimeMs !== (mtimeMs ?? before?.mtimeMs) ||
              (before !== undefined && after.ctimeMs !== before.ctimeMs))
          ) {
            throw fileChanged(file, 'it was written to');
          }
        } catch (error) {
          throw fileSystemError(error, `reading ${file}`);
        } finally {
          closeSync(fd);
        }
      }
      const padding = tarPadding(entry.size);
      if (padding > 0) block.fill(0, used, used + padding);
      used += padding;
      if (used === blockSize) yield turn();
    }
    onEntry?.(tocEntryOf(entry, mtime, offset, digest));
    signal?.throwIfAborted();
  }
  // End of archive: two blocks of zeros. Not rounded to tar's 10 KiB records, as Go does not either.
  yield* put(new Uint8Array(2 * TAR_BLOCK));
  if (used > 0) yield block.subarray(0, used);
}

/** The fields one by one: with spreads, this is a tenth of the time that a small file takes. */
function tocEntryOf(entry: PackEntry, mtime: number, offset: number, digest: Digest | undefined): TocEntry {
  const { path, type, mode, uid, gid, linkTarget, xattrs, devMajor, devMinor } = entry;
  if (digest !== undefined && xattrs === undefined) {
    return { path, type, mode, uid, gid, size: entry.size, mtime, offset, digest };
  }
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size: type === 'file' ? entry.size : 0,
    mtime,
    offset,
    ...(digest === undefined ? {} : { digest }),
    ...(linkTarget === undefined ? {} : { linkTarget }),
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(devMajor === undefined ? {} : { devMajor }),
    ...(devMinor === undefined ? {} : { devMinor }),
  };
}

function openSource(file: string): number {
  try {
    return openSync(fsPath(file), SOURCE_FLAGS);
  } catch (error) {
    throw sourceFileError(error, file);
  }
}

/** Reads until `size` bytes are there or the file ends; from `start`, or from where the file is. */
function readWhole(fd: number, target: Buffer, at: number, size: number, start: number | undefined): number {
  let got = 0;
  while (got < size) {
    const piece = readSync(fd, target, at + got, size - got, start === undefined ? null : start + got);
    if (piece === 0) break;
    got += piece;
  }
  return got;
}

function checkedStats(fd: number, file: string, entry: PackEntry): Stats {
  const stats = fstatSync(fd);
  if (!stats.isFile()) throw fileChanged(file, 'it is no regular file now');
  if (stats.size !== entry.size) throw fileChanged(file, `it had ${entry.size} bytes and now has ${stats.size}`);
  return stats;
}

/** An inode number may be given to a new file at once: the time of the last change of the inode tells them apart. */
function isSame(stats: Stats, { dev, ino, ctimeMs }: NonNullable<FileContent['identity']>): boolean {
  return stats.dev === dev && stats.ino === ino && stats.ctimeMs === ctimeMs;
}

function wrongSize({ path, size }: PackEntry): SlipwayError {
  return new SlipwayError(
    'E_INTERNAL',
    `cannot pack ${path}: its entry says ${size} bytes and its content has another size`,
  );
}
