import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SlipwayError } from '../../base/errors.js';
import { checkLayoutName } from '../archive/archive-image.js';
import { directoryFiles } from '../archive/directory-files.js';
import { layoutImages } from '../archive/layout-content.js';
import { checkLayoutDirectory, type LayoutDirectory, openLayoutDirectory } from '../archive/layout-directory.js';
import type { ImageSource, ImageTarget } from './image-place.js';
import { pickImage } from './pick-image.js';

/** An image of an OCI layout. @throws SlipwayError E_NOT_FOUND, E_USAGE for what is no directory, E_BAD_ARCHIVE … */
export async function layoutImage(dir: string, name: string | undefined): Promise<ImageSource> {
  const root = resolve(dir);
  const found = await stat(root).catch(() => undefined);
  if (found === undefined) throw new SlipwayError('E_NOT_FOUND', `there is no directory ${root}`);
  if (!found.isDirectory()) {
    throw new SlipwayError('E_USAGE', `${root} is no directory`, {
      hint: `an archive is named oci-archive:${dir} or docker-archive:${dir}`,
    });
  }
  const set = await layoutImages(directoryFiles(root));
  const { names, descriptor } = pickImage(set, name);
  return { label: `oci:${root}${name === undefined ? '' : `:${name}`}`, content: set.content, root: descriptor, names };
}

/**
 * Uses an OCI layout as a place to copy to. It is made when something comes.
 * @param name undefined for that of the source.
 * @throws SlipwayError E_USAGE at once when it cannot be one.
 */
export async function withLayoutTarget<T>(
  dir: string,
  name: string | undefined,
  use: (target: ImageTarget) => Promise<T>,
): Promise<T> {
  checkLayoutName(name);
  const root = resolve(dir);
  await checkLayoutDirectory(root);
  let layout: LayoutDirectory | undefined;
  try {
    return await use({
      label: `oci:${root}`,
      async receive() {
        layout ??= await openLayoutDirectory(root);
        return layout.content;
      },
      finish: async (descriptor, source) => layout?.add(name ?? source.names[0], descriptor),
    });
  } finally {
    await layout?.close();
  }
}
