import { SlipwayError } from '../../base/errors.js';
import { algorithmOf, digestAs, hexOf } from '../../image/digest.js';
import { type Descriptor, MANIFEST_LIMIT, parseImageDocument } from '../../image/oci.js';
import type { ContentSource } from '../content.js';
import type { ImageSet } from './image-set.js';
import { parseLayoutIndex } from './layout-index.js';
import { type PlacedFiles, readPlaced } from './placed-files.js';

/** Bytes of `index.json`. */
const INDEX_LIMIT = 16 * 1024 * 1024;

/**
 * The images of an OCI image layout; image-spec, image-layout.md.
 * @throws SlipwayError E_BAD_ARCHIVE
 */
export async function layoutImages(files: PlacedFiles): Promise<ImageSet> {
  const bytes = await readPlaced(files, 'index.json', INDEX_LIMIT);
  if (bytes === undefined) {
    throw new SlipwayError('E_BAD_ARCHIVE', `${files.label} is no OCI layout: it has no index.json`);
  }
  const { images, since } = parseLayoutIndex(bytes, files.label);
  return { label: files.label, content: layoutContent(files, since), images };
}

/**
 * The blobs of a layout as a place to copy from.
 * @param since the images that have what is left out, when it says so.
 */
export function layoutContent(files: PlacedFiles, since?: string): ContentSource {
  /** Its path, when it is there. */
  const find = async ({ digest, size }: Descriptor): Promise<string> => {
    const path = blobPath({ digest });
    const found = await files.size(path);
    if (found === undefined) throw missing(files.label, digest, since);
    if (found === size) return path;
    throw new SlipwayError('E_SIZE_MISMATCH', `${files.label}: ${path} has ${found} bytes, ${size} were expected`, {
      hint: 'it is damaged: copy it again',
    });
  };
  return {
    label: files.label,
    async document(descriptor) {
      const path = await find(descriptor);
      const bytes = (await readPlaced(files, path, MANIFEST_LIMIT)) ?? Buffer.alloc(0);
      const actual = digestAs(descriptor.digest, bytes);
      const what = `${files.label}: ${path}`;
      if (actual !== descriptor.digest) {
        throw new SlipwayError('E_DIGEST_MISMATCH', `${what} has the digest ${actual}`, {
          hint: 'it is damaged or was tampered with: copy it again',
          details: { expected: descriptor.digest, actual },
        });
      }
      return { descriptor, bytes, document: parseImageDocument(bytes, descriptor.mediaType, what) };
    },
    async *open(descriptor, start, end, signal) {
      yield* files.open(await find(descriptor), start, end, signal);
    },
  };
}

/** Where a blob is in a layout. */
export function blobPath({ digest }: Pick<Descriptor, 'digest'>): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

function missing(label: string, digest: string, since: string | undefined): SlipwayError {
  if (since === undefined) {
    return new SlipwayError('E_BAD_ARCHIVE', `${label} lacks ${digest}`, {
      hint: 'it is incomplete: save or copy it again',
      details: { digest },
    });
  }
  return new SlipwayError(
    'E_NOT_FOUND',
    `${label} holds only what ${since.replaceAll(' ', ', ')} lacks, and that is not where it is copied to`,
    { hint: `load or pull ${since.replace(/@.*/, '')} first`, details: { digest, since } },
  );
}
