import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import { parseReference } from '../../image/reference.js';
import { dockerArchive, dockerArchiveLoss } from '../archive/docker-archive.js';
import { dockerImages } from '../archive/docker-images.js';
import { openArchiveFiles } from '../archive/open-archive.js';
import { withOutput } from '../archive/output.js';
import { otherKind } from './archive-kind.js';
import type { ImageSource, ImageTarget } from './image-place.js';
import { pickImage } from './pick-image.js';

/** Uses an image of a docker archive. @throws SlipwayError E_NOT_FOUND, E_BAD_ARCHIVE … */
export async function withDockerArchiveImage<T>(
  file: string,
  name: string | undefined,
  signal: AbortSignal | undefined,
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  const files = await openArchiveFiles(file, signal);
  try {
    if ((await files.size('manifest.json')) === undefined && (await files.size('repositories')) === undefined)
      throw await otherKind(files, file, 'docker-archive');
    const set = await dockerImages(files);
    const { names, descriptor } = pickImage(set, name);
    return await use({ label: `docker-archive:${file}`, content: set.content, root: descriptor, names });
  } finally {
    await files.close();
  }
}

/** Uses a new docker archive, in place of what the file was before, as a place to copy to. @param name undefined for that of the source. */
export async function withDockerArchiveTarget<T>(
  file: string,
  name: string | undefined,
  reporter: Reporter,
  use: (target: ImageTarget) => Promise<T>,
): Promise<T> {
  const given = name === undefined ? undefined : tagOf(name);
  return withOutput(file, async (output) => {
    const archive = dockerArchive(output);
    return use({
      label: `docker-archive:${file}`,
      receive: async () => archive.content,
      async finish(root, source) {
        archive.add(root.digest, given ?? firstTag(source.names));
        await archive.end();
        const loss = dockerArchiveLoss((await source.content.document(root)).document, source.label);
        if (loss !== undefined) reporter.warn(loss);
      },
    });
  });
}

/** @throws SlipwayError E_INVALID_REFERENCE, E_USAGE when it has a digest. */
function tagOf(name: string): string {
  const { name: tag, digest } = parseReference(name);
  if (digest === undefined) return tag;
  throw new SlipwayError('E_USAGE', `${name}: a name in a docker archive cannot have a digest`, {
    hint: 'write repository:tag',
  });
}

/** Undefined when no name of the source could be a tag: then the image has none. */
function firstTag(names: readonly string[]): string | undefined {
  for (const name of names) {
    try {
      return tagOf(name);
    } catch (error) {
      if (!isSlipwayError(error, 'E_INVALID_REFERENCE', 'E_USAGE')) throw error;
    }
  }
  return undefined;
}
