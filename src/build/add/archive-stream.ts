import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { decompress, sniffCompression } from '../../layers/decompress.js';
import { startFilter, throughFilter } from '../../layers/filter-program.js';
import { type FileStamp, readUnchanged } from '../../layers/read-unchanged.js';
import { readRawHeader } from '../../layers/tar-fields.js';
import { TAR_BLOCK } from '../../layers/tar-header.js';

/** What a tar is compressed with. */
export type ArchiveCompression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** xz allows archives that need 4 GiB of memory to be read; `xz -9` makes ones that need 65 MiB. */
const XZ_MEMORY = '512MiB';

/**
 * Whether a file is a tar, by its content whatever its name is, as Docker tells them: what it is compressed with, and whether a tar header
 * comes first when it is not. Anything else that is compressed or damaged is no archive.
 * @param stats what `lstat` said of it; it must be a regular file.
 * @throws SlipwayError E_FILE_CHANGED, E_MISSING_PROGRAM when only a program that is not installed could tell.
 */
export async function archiveCompression(file: string, stats: FileStamp): Promise<ArchiveCompression | undefined> {
  if (stats.size < 14) return undefined; // the shortest that bzip2 makes
  const magic = await firstBytes(readUnchanged(file, stats), TAR_BLOCK);
  const compression = compressionOf(magic);
  if (compression === 'none') return isTarHeader(magic) ? 'none' : undefined;
  try {
    const first = await firstBytes(decompressArchive(readUnchanged(file, stats), compression), TAR_BLOCK);
    return isTarHeader(first) ? compression : undefined;
  } catch (error) {
    if (isSlipwayError(error, 'E_BAD_ARCHIVE')) return undefined;
    throw error;
  }
}

/**
 * The tar in a compressed stream.
 * @throws SlipwayError E_BAD_ARCHIVE when it is damaged, E_MISSING_PROGRAM when `xz` or `bzip2` is needed and not installed.
 */
export function decompressArchive(
  stream: AsyncIterable<Buffer>,
  compression: ArchiveCompression,
): AsyncGenerator<Buffer> {
  const broken = (reason: string): SlipwayError =>
    new SlipwayError('E_BAD_ARCHIVE', `cannot decompress ${compression} data: ${reason}`, {
      hint: 'the archive is truncated or damaged',
    });
  switch (compression) {
    case 'xz': {
      const purpose = { what: 'archives compressed with xz', debianPackage: 'xz-utils' };
      return throughFilter(stream, startFilter('xz', ['-dcq', `--memlimit-decompress=${XZ_MEMORY}`], purpose, broken));
    }
    case 'bzip2': {
      const purpose = { what: 'archives compressed with bzip2', debianPackage: 'bzip2' };
      return throughFilter(stream, startFilter('bzip2', ['-dcq'], purpose, broken));
    }
    default:
      return decompress(stream, compression);
  }
}

function compressionOf(magic: Buffer): ArchiveCompression {
  if (magic.subarray(0, 6).equals(Buffer.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0))) return 'xz';
  if (magic.toString('latin1', 0, 3) === 'BZh') return 'bzip2';
  return sniffCompression(magic);
}

function isTarHeader(block: Buffer): boolean {
  if (block.length < TAR_BLOCK) return false;
  try {
    return readRawHeader(block, 0) !== undefined;
  } catch {
    return false;
  }
}

/** The first bytes of a stream, at most `wanted`; the stream is ended. */
async function firstBytes(stream: AsyncIterable<Buffer>, wanted: number): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk.subarray(0, wanted - bytes.length)]);
    if (bytes.length === wanted) break;
  }
  return bytes;
}
