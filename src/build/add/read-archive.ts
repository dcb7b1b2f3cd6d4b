import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fileSystemError, isSlipwayError, SlipwayError } from '../../base/errors.js';
import { type Digest, sha256Digest } from '../../image/digest.js';
import { isLocalXattr } from '../../layers/layer-names.js';
import { type FileStamp, readUnchanged } from '../../layers/read-unchanged.js';
import { checkLimit, DEFAULT_LIMITS } from '../../layers/tar-limits.js';
import { readTar, type TarMember } from '../../layers/tar-reader.js';
import { type ArchiveCompression, decompressArchive } from './archive-stream.js';
import type { ArchiveMember } from './place-archive.js';

/** Below this, no ratio of compression is suspicious. */
const RATIO_FREE = 1024 ** 3;

export interface ArchiveSource {
  readonly file: string;
  /** What `lstat` said of it. */
  readonly stats: FileStamp;
  readonly compression: ArchiveCompression;
  /** For messages. */
  readonly what: string;
}

export interface ReadArchive {
  readonly members: readonly ArchiveMember[];
  /** Of the file, as it was read. */
  readonly digest: Digest;
}

/**
 * Reads an archive once: its tar goes into the file `spool`, where the contents of its members are found from then on.
 * @param devices whether device nodes are taken. @param spool a file that is made, for the caller to remove.
 * @throws SlipwayError E_BAD_ARCHIVE when it is damaged, E_UNSAFE_ARCHIVE for `..`, a bomb or a device that is not wanted, E_UNSUPPORTED for
 * sparse files, E_FILE_CHANGED, E_MISSING_PROGRAM, E_NO_SPACE.
 */
export async function readArchive(
  source: ArchiveSource,
  { devices, spool, signal }: { readonly devices: boolean; readonly spool: string; readonly signal: AbortSignal },
): Promise<ReadArchive> {
  const hash = createHash('sha256');
  const members: ArchiveMember[] = [];
  const out = await open(spool, 'wx', 0o600);
  let taken = 0;
  let given = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of readUnchanged(source.file, source.stats)) {
      signal.throwIfAborted();
      taken += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
  }
  async function* spooled(): AsyncGenerator<Buffer> {
    for await (const chunk of decompressArchive(counted(), source.compression)) {
      given += chunk.length;
      if (given > RATIO_FREE) checkLimit(given / taken, DEFAULT_LIMITS.ratio, 'its compression ratio is suspicious');
      for (let at = 0; at < chunk.length; ) at += (await out.write(chunk, at)).bytesWritten;
      yield chunk;
    }
  }
  try {
    await readTar(spooled(), { member: (member) => void members.push(archiveMember(member, spool, devices)) });
  } catch (error) {
    const failure = fileSystemError(error, `unpacking ${source.what}`);
    if (!isSlipwayError(failure, 'E_BAD_ARCHIVE', 'E_UNSAFE_ARCHIVE', 'E_UNSUPPORTED')) throw failure;
    throw new SlipwayError(failure.code, `unpacking ${source.what}: ${failure.message}`, {
      hint: 'COPY takes an archive as it is, without unpacking it',
      cause: failure,
    });
  } finally {
    await out.close();
  }
  return { members, digest: sha256Digest(hash.digest('hex')) };
}

function archiveMember(member: TarMember, spool: string, devices: boolean): ArchiveMember {
  const { path, type, mode, uid, gid, size, mtime, linkTarget, xattrs, devMajor, devMinor, offset } = member;
  if (type === 'hardlink') return { path, hardlinkTo: linkTarget ?? '' };
  const isDevice = type === 'char' || type === 'block';
  if (isDevice && (!devices || (devMajor === 0 && devMinor === 0))) {
    throw new SlipwayError('E_UNSAFE_ARCHIVE', `${JSON.stringify(path)} is a device, which no cluster's rootfs needs`);
  }
  const kept = Object.entries(xattrs ?? {}).filter(([name]) => !isLocalXattr(name));
  return {
    path,
    type,
    mode: type === 'symlink' ? 0o777 : mode, // Linux has no others
    uid,
    gid,
    size,
    mtime,
    ...(linkTarget === undefined ? {} : { linkTarget }),
    ...(kept.length === 0 ? {} : { xattrs: Object.fromEntries(kept) }),
    ...(isDevice ? { devMajor: devMajor ?? 0, devMinor: devMinor ?? 0 } : {}),
    ...(type === 'file' ? { content: { in: 'file', file: spool, start: offset }, inode: `${spool}@${offset}` } : {}),
  };
}
