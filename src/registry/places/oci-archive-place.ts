import { checkLayoutName, namedDescriptor } from '../archive/archive-image.js';
import { layoutImages } from '../archive/layout-content.js';
import { ociArchive } from '../archive/oci-archive.js';
import { openArchiveFiles } from '../archive/open-archive.js';
import { withOutput } from '../archive/output.js';
import { otherKind } from './archive-kind.js';
import type { ImageSource, ImageTarget } from './image-place.js';
import { pickImage } from './pick-image.js';

/** Uses an image of an OCI archive. @throws SlipwayError E_NOT_FOUND, E_BAD_ARCHIVE … */
export async function withOciArchiveImage<T>(
  file: string,
  name: string | undefined,
  signal: AbortSignal | undefined,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  const files = await openArchiveFiles(file, signal);
  try {
    if ((await files.size('index.json')) === undefined) throw await otherKind(files, file, 'oci-archive');
    const set = await layoutImages(files);
    const { names, descriptor } = pickImage(set, name);
    return await use({ label: `oci-archive:${file}`, content: set.content, root: descriptor, names });
  } finally {
    await files.close();
  }
}

/** Uses a new OCI archive, in place of what the file was before, as a place to copy to. @param name undefined for that of the source. */
export async function withOciArchiveTarget<T>(
  file: string,
  name: string | undefined,
  use: (target: ImageTarget) => Promise<T>,
): Promise<T> {
  checkLayoutName(name);
  return withOutput(file, async (output) => {
    const archive = await ociArchive(output);
    return use({
      label: `oci-archive:${file}`,
      receive: async () => archive.content,
      async finish(descriptor, source) {
        archive.add(namedDescriptor(name ?? source.names[0], descriptor));
        await archive.end();
      },
    });
  });
}
