import { SlipwayError } from '../../base/errors.js';
import { isDigest } from '../../image/digest.js';
import { readTar } from '../../layers/tar-reader.js';
import type { BlobIdentity, BlobWriter } from '../../store/blobs.js';
import type { Store } from '../../store/store.js';
import { interruptible } from '../interruptible.js';
import { ArchiveMembers } from './archive-members.js';
import { LAYOUT_FILES } from './layout-index.js';
import type { PlacedFiles } from './placed-files.js';
import { isSealerMember, sealerStream } from './sealer-names.js';

/** Bytes of `index.json` or `manifest.json`. */
const DOCUMENT_LIMIT = 16 * 1024 * 1024;
const DOCUMENTS: readonly string[] = [...LAYOUT_FILES, 'manifest.json'];
/** What old versions of docker write beside, for versions that are older still. */
const IGNORED = /(?:^|\/)(?:VERSION|json|repositories)$/;

/**
 * Reads a tar that comes once, in one pass: each file goes into the store as a blob, verified when its path is its digest. Names appear
 * only later, so an archive that breaks off leaves nothing but blobs that the next collection takes.
 * @throws SlipwayError E_BAD_ARCHIVE, E_UNSAFE_ARCHIVE, E_DIGEST_MISMATCH.
 */
export async function takeIn(store: Store, stream: AsyncIterable<Buffer>, label: string): Promise<PlacedFiles> {
  const members = new ArchiveMembers<Buffer | BlobIdentity>();
  let current: Member | undefined;
  try {
    await readTar(stream, {
      async member(member) {
        current = undefined;
        const { path, type, size } = member;
        if (isSealerMember(path)) throw sealerStream(label);
        if (type === 'file') current = await beginMember(store, path, size);
        else members.noteLink(member);
      },
      content: (piece) => current?.write(piece),
      async end() {
        if (current !== undefined) members.set(current.path, await current.end());
        current = undefined;
      },
    });
  } finally {
    await current?.abort();
  }
  return {
    label,
    size: async (path) => sizeOf(members.find(path)),
    async *open(path, start, end, signal) {
      const found = members.find(path);
      if (found === undefined || end > (sizeOf(found) ?? 0))
        throw new SlipwayError('E_BAD_ARCHIVE', `${label} has no ${end} bytes of ${path}`);
      if (Buffer.isBuffer(found)) yield found.subarray(start, end);
      else if (end > start) yield* interruptible<Buffer>(store.openBlob(found.digest, { start, end: end - 1 }), signal);
    },
    close: async () => {},
  };
}

function sizeOf(file: Buffer | BlobIdentity | undefined): number | undefined {
  return Buffer.isBuffer(file) ? file.length : file?.size;
}

interface Member {
  readonly path: string;
  write(piece: Buffer): void | Promise<void>;
  end(): Promise<Buffer | BlobIdentity>;
  abort(): Promise<void>;
}

async function beginMember(store: Store, path: string, size: number): Promise<Member | undefined> {
  if (IGNORED.test(path)) return undefined;
  if (DOCUMENTS.includes(path)) {
    if (size > DOCUMENT_LIMIT) {
      throw new SlipwayError(
        'E_BAD_ARCHIVE',
        `${path} of the archive has ${size} bytes, the limit is ${DOCUMENT_LIMIT}`,
      );
    }
    const pieces: Buffer[] = [];
    return {
      path,
      write: (piece) => void pieces.push(Buffer.from(piece)),
      end: async () => Buffer.concat(pieces),
      abort: async () => {},
    };
  }
  const named = /^blobs\/(sha256|sha512)\/([a-f0-9]+)$/.exec(path);
  const digest = named === null ? '' : `${named[1]}:${named[2]}`;
  const expected = isDigest(digest) ? digest : undefined;
  const writer: BlobWriter = await store.newBlob(expected);
  return {
    path,
    write: (piece) => writer.write(Buffer.from(piece)), // it is ours only during the call
    end: () => writer.commit(expected === undefined ? { size } : { size, digest: expected }),
    abort: () => writer.abort(),
  };
}
