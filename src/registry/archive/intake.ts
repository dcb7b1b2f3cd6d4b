import { posix } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { isDigest } from '../../image/digest.js';
import { decompress, sniffCompression } from '../../layers/decompress.js';
import { readTar } from '../../layers/tar-reader.js';
import type { BlobIdentity, BlobWriter } from '../../store/blobs.js';
import type { Store } from '../../store/store.js';

/** Bytes of `index.json` or `manifest.json`. */
const DOCUMENT_LIMIT = 16 * 1024 * 1024;
const DOCUMENTS: readonly string[] = ['index.json', 'manifest.json', 'oci-layout'];
/** What old versions of docker write beside, for versions that are older still. */
const IGNORED = /(?:^|\/)(?:VERSION|json|repositories)$/;

/** An archive whose files have become blobs of the store; which of them belong together is found out afterwards. */
export interface Intake {
  /** The documents at the top. */
  readonly documents: ReadonlyMap<string, Buffer>;
  /** Where links lead is resolved. @returns undefined when there is no such file. */
  file(path: string): BlobIdentity | undefined;
}

/**
 * Reads a tar, gzipped or zstd-compressed or neither, in one pass: each file goes into the store as a blob, verified when its path is its
 * digest. Names appear only later, so an archive that breaks off leaves nothing but blobs that the next collection takes.
 * @throws SlipwayError E_BAD_ARCHIVE, E_UNSAFE_ARCHIVE, E_DIGEST_MISMATCH.
 */
export async function takeIn(
  store: Store,
  stream: AsyncIterable<Buffer>,
  onProgress: (bytes: number) => void = () => {},
): Promise<Intake> {
  const documents = new Map<string, Buffer>();
  const files = new Map<string, BlobIdentity>();
  const links = new Map<string, string>();
  let current: Member | undefined;
  try {
    await readTar(await uncompressed(counted(stream, onProgress)), {
      async member({ path, type, size, linkTarget = '' }) {
        current = undefined;
        if (type === 'symlink') links.set(path, posix.join(posix.dirname(path), linkTarget));
        else if (type === 'hardlink') links.set(path, linkTarget);
        else if (type === 'file') current = await beginMember(store, path, size);
      },
      content: (piece) => current?.write(piece),
      async end() {
        if (current?.kind === 'document') documents.set(current.path, current.bytes());
        if (current?.kind === 'blob') files.set(current.path, await current.commit());
        current = undefined;
      },
    });
  } finally {
    if (current?.kind === 'blob') await current.abort();
  }
  return { documents, file: (path) => follow(files, links, path) };
}

type Member =
  | { readonly kind: 'document'; readonly path: string; write(piece: Buffer): void; bytes(): Buffer }
  | {
      readonly kind: 'blob';
      readonly path: string;
      write(piece: Buffer): Promise<void>;
      commit(): Promise<BlobIdentity>;
      abort(): Promise<void>;
    };

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
      kind: 'document',
      path,
      write: (piece) => void pieces.push(Buffer.from(piece)),
      bytes: () => Buffer.concat(pieces),
    };
  }
  const named = /^blobs\/(sha256|sha512)\/([a-f0-9]+)$/.exec(path);
  const digest = named === null ? '' : `${named[1]}:${named[2]}`;
  const expected = isDigest(digest) ? digest : undefined;
  const writer: BlobWriter = await store.newBlob(expected);
  return {
    kind: 'blob',
    path,
    write: (piece) => writer.write(Buffer.from(piece)), // it is ours only during the call
    commit: () => writer.commit(expected === undefined ? { size } : { size, digest: expected }),
    abort: () => writer.abort(),
  };
}

function follow(
  files: ReadonlyMap<string, BlobIdentity>,
  links: ReadonlyMap<string, string>,
  path: string,
): BlobIdentity | undefined {
  let at = posix.normalize(path).replace(/^\/+/, '');
  for (let hops = 0; hops < 10; hops++) {
    const found = files.get(at);
    if (found !== undefined) return found;
    const next = links.get(at);
    if (next === undefined) return undefined;
    at = posix.normalize(next);
  }
  return undefined;
}

async function* counted(
  stream: AsyncIterable<Buffer>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of stream) {
    onProgress(chunk.byteLength);
    yield chunk;
  }
}

/** Looks at the first bytes to see whether the archive as such is compressed. */
async function uncompressed(stream: AsyncGenerator<Buffer, void, void>): Promise<AsyncIterable<Buffer>> {
  const first: Buffer[] = [];
  let size = 0;
  while (size < 4) {
    const { value, done } = await stream.next();
    if (done === true) break;
    first.push(value);
    size += value.byteLength;
  }
  const head = Buffer.concat(first);
  async function* whole(): AsyncGenerator<Buffer, void, void> {
    yield head;
    yield* stream;
  }
  return decompress(whole(), sniffCompression(head));
}
