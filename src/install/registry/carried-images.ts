import { createReadStream } from 'node:fs';
import { SlipwayError } from '../../base/errors.js';
import { type Digest, isDigest } from '../../image/digest.js';
import { isDocumentType, MEDIA } from '../../image/media-types.js';
import { type Descriptor, parseImageDocument } from '../../image/oci.js';
import { fsPath } from '../../layers/path-bytes.js';
import type { ContentDocument, ContentSource } from '../../registry/content.js';
import { blobFile, STORAGE_ROOT } from '../../registry/distribution-paths.js';
import { readContent, type WantedEntry, type WantedFile } from '../files/rootfs.js';
import { REGISTRY_DIR } from '../state/cluster-paths.js';

/** A container image that a rootfs carries in its `registry/`. */
export interface CarriedImage {
  /** As a mirror is asked for it: `library/web`. */
  readonly repository: string;
  /** Undefined for one that is only known by its digest. */
  readonly tag: string | undefined;
  readonly digest: Digest;
}

const ROOT = `${REGISTRY_DIR}/${STORAGE_ROOT}/`;
const TAG = /^repositories\/(.+)\/_manifests\/tags\/([^/]+)\/current\/link$/;
const REVISION = /^repositories\/(.+)\/_manifests\/revisions\/(sha\d+)\/([a-f0-9]+)\/link$/;

/** The container images that a rootfs carries: those with a tag first, sorted. */
export async function carriedImages(entries: readonly WantedEntry[]): Promise<readonly CarriedImage[]> {
  const tagged: CarriedImage[] = [];
  const revisions: CarriedImage[] = [];
  for (const entry of entries) {
    if (entry.type !== 'file' || !entry.path.startsWith(ROOT)) continue;
    const path = entry.path.slice(ROOT.length);
    const [, repository = '', tag] = TAG.exec(path) ?? [];
    const [, owner = '', algorithm, hex] = REVISION.exec(path) ?? [];
    const revision = `${algorithm}:${hex}`;
    if (isDigest(revision)) revisions.push({ repository: owner, tag: undefined, digest: revision });
    if (tag === undefined) continue;
    const digest = (await readContent(entry)).toString('utf8').trim();
    if (isDigest(digest)) tagged.push({ repository, tag, digest });
  }
  const has = ({ repository, digest }: CarriedImage): boolean =>
    tagged.some((one) => one.repository === repository && one.digest === digest);
  return [...tagged, ...revisions.filter((one) => !has(one))];
}

/** What a rootfs carries in its `registry/`, as a place to copy images from. */
export function carriedContent(entries: readonly WantedEntry[]): ContentSource & {
  /** A manifest or index by its digest alone. */
  documentAt(digest: Digest): Promise<ContentDocument>;
} {
  const files = new Map(
    entries.flatMap((entry) =>
      entry.type === 'file' && entry.path.startsWith(`${ROOT}blobs/`) ? [[entry.path, entry] as const] : [],
    ),
  );
  const find = (digest: Digest): WantedFile => {
    const file = files.get(ROOT + blobFile(digest));
    if (file !== undefined) return file;
    throw new SlipwayError('E_NOT_FOUND', `blob ${digest} is not in the image`, { hint: 'build the image again' });
  };
  const documentAt = async (digest: Digest, mediaType?: string): Promise<ContentDocument> => {
    const file = find(digest);
    const bytes = await readContent(file);
    const document = parseImageDocument(bytes, mediaType ?? typeOf(bytes), digest);
    return { descriptor: { mediaType: document.mediaType, digest, size: bytes.byteLength }, bytes, document };
  };
  return {
    label: 'the image',
    documentAt,
    document: ({ digest, mediaType }) => documentAt(digest, isDocumentType(mediaType) ? mediaType : undefined),
    has: async ({ digest, size }: Descriptor) => files.get(ROOT + blobFile(digest))?.size === size,
    async *open({ digest }, start, end) {
      if (end <= start) return;
      const { content } = find(digest);
      if ('bytes' in content) yield content.bytes.subarray(start, end);
      else yield* createReadStream(fsPath(content.file), { start, end: end - 1, highWaterMark: 1024 * 1024 });
    },
  };
}

/** A manifest that does not say what it is, is what it looks like. */
function typeOf(bytes: Buffer): string {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof value === 'object' && value !== null) {
      if ('mediaType' in value && typeof value.mediaType === 'string') return value.mediaType;
      if ('manifests' in value) return MEDIA.index;
    }
  } catch {
    // said by whoever reads it next
  }
  return MEDIA.manifest;
}
