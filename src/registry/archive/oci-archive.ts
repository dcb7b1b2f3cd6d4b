import { SlipwayError } from '../../base/errors.js';
import type { Digest } from '../../image/digest.js';
import { MEDIA } from '../../image/media-types.js';
import { type Descriptor, encodeJson } from '../../image/oci.js';
import type { ContentTarget } from '../content.js';
import { SINCE } from './archive-image.js';
import { blobPath } from './layout-content.js';
import type { Output } from './output.js';
import { type ReservedMember, TarMembersOut } from './tar-members-out.js';
import { verified } from './verified.js';

/** An OCI layout as a tar (`oci-archive`) that is being written. */
export interface OciArchiveWriter {
  readonly content: ContentTarget;
  /** Names an image all of whose content is there. @param descriptor with the annotations that hold the name. */
  add(descriptor: Descriptor): void;
  /** Writes `index.json`, the last file. */
  end(): Promise<void>;
}

export interface OciArchiveOptions {
  /** Content that is left out: the archive can only be used where it is. */
  readonly without?: ReadonlySet<Digest>;
  /** Names the images whose content is left out. */
  readonly since?: string | undefined;
}

/**
 * Begins an archive. The order of its files is that of the content of its images, whichever comes first, so the same images give the same
 * bytes; into a file several blobs are written at the same time.
 */
export async function ociArchive(
  output: Output,
  { without = new Set(), since }: OciArchiveOptions = {},
): Promise<OciArchiveWriter> {
  const members = new TarMembersOut(output);
  const there = new Set<Digest>(without);
  const places = new Map<Digest, ReservedMember>();
  const images: Descriptor[] = [];
  await members.file('oci-layout', encodeJson({ imageLayoutVersion: '1.0.0' }));
  for (const path of ['blobs', 'blobs/sha256']) await members.directory(path);
  const content: ContentTarget = {
    label: output.label,
    ...(members.seekable ? {} : { parallel: 1 }),
    expect(blobs) {
      for (const { digest, size } of blobs)
        if (!there.has(digest) && !places.has(digest)) places.set(digest, members.reserve(blobPath({ digest }), size));
    },
    has: async ({ digest }) => there.has(digest),
    async pushBlob(descriptor, open, onProgress) {
      const place = places.get(descriptor.digest);
      if (place === undefined) throw new SlipwayError('E_INTERNAL', `no place for ${descriptor.digest} in the archive`);
      await members.write(place, told(verified(open(0, descriptor.size), descriptor), onProgress));
      there.add(descriptor.digest);
      return 'copied';
    },
    async pushDocument({ descriptor, bytes }) {
      await members.file(blobPath(descriptor), bytes);
      there.add(descriptor.digest);
    },
  };
  return {
    content,
    add: (descriptor) => void images.push(descriptor),
    async end() {
      const annotations = since === undefined ? {} : { annotations: { [SINCE]: since } };
      const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests: images, ...annotations };
      await members.file('index.json', encodeJson(index));
      await members.end();
    },
  };
}

async function* told(
  pieces: AsyncIterable<Uint8Array>,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const piece of pieces) {
    yield piece;
    onProgress(piece.byteLength);
  }
}
