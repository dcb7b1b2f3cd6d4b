import type { FileHandle } from 'node:fs/promises';
import { SlipwayError } from '../../base/errors.js';
import { scanTar } from '../../layers/tar-reader.js';
import { ArchiveMembers } from './archive-members.js';
import { type PlacedFiles, readRange } from './placed-files.js';

/** Members of an archive; a cluster that was saved file by file has many. */
const MOST_MEMBERS = 1_000_000;

/** The files of an uncompressed tar, read where they are in it. */
export interface TarFiles extends PlacedFiles {
  /** Paths of all files, in no order. */
  paths(): Iterable<string>;
  /** The tar from its beginning. */
  whole(signal?: AbortSignal): AsyncIterable<Buffer>;
}

/**
 * Looks through a tar for the places of its members; their content is not read yet.
 * @param handle is closed with the files, or when this fails.
 * @throws SlipwayError E_BAD_ARCHIVE, E_UNSAFE_ARCHIVE.
 */
export async function openTarFiles(handle: FileHandle, label: string): Promise<TarFiles> {
  try {
    return await scanFiles(handle, label);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function scanFiles(handle: FileHandle, label: string): Promise<TarFiles> {
  const { size: end } = await handle.stat();
  const members = new ArchiveMembers<{ readonly offset: number; readonly size: number }>();
  const read = async (offset: number, length: number): Promise<Buffer> => {
    const chunk = Buffer.allocUnsafe(length);
    const { bytesRead } = await handle.read(chunk, 0, length, offset);
    return chunk.subarray(0, bytesRead);
  };
  await scanTar(
    read,
    end,
    (member) => {
      if (member.type === 'file') members.set(member.path, { offset: member.offset, size: member.size });
      else members.noteLink(member);
    },
    { entries: MOST_MEMBERS },
  );
  return {
    label,
    size: async (path) => members.find(path)?.size,
    async *open(path, start, stop, signal) {
      const member = members.find(path);
      if (member === undefined || stop > member.size)
        throw new SlipwayError('E_BAD_ARCHIVE', `${label} has no ${stop} bytes of ${path}`);
      yield* readRange(handle, member.offset + start, member.offset + stop, `${label}: ${path}`, signal);
    },
    paths: () => members.paths(),
    whole: (signal) => readRange(handle, 0, end, label, signal),
    close: () => handle.close(),
  };
}
