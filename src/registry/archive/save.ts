import type { Writable } from 'node:stream';
import { SlipwayError } from '../../base/errors.js';
import type { Platform } from '../../image/platform.js';
import { findImage } from '../../store/local-image.js';
import type { Store } from '../../store/store.js';
import type { NamedImage } from './archive-image.js';
import { dockerArchive } from './docker-archive.js';
import { ociArchive, writeLayoutDirectory } from './oci-layout.js';
import { writeOutput } from './output.js';

export const ARCHIVE_FORMATS = ['oci-archive', 'docker-archive', 'oci-dir'] as const;
/** `oci-archive`: a tar of an OCI layout. `docker-archive`: what `docker load` reads. `oci-dir`: an OCI layout. */
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

export interface SaveOptions {
  /** Default `oci-archive`. */
  readonly format?: ArchiveFormat | undefined;
  /** Images that are where the archive is going: what they have is left out. OCI formats only. */
  readonly since?: readonly string[] | undefined;
  /** Which image of an index goes into a docker archive. OCI formats keep them all. */
  readonly platform?: Platform | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Saves images of the store.
 * @param target a file (or directory for `oci-dir`), or a stream that is left open.
 * @returns the names in the archive.
 * @throws SlipwayError E_NOT_FOUND, E_USAGE, E_NO_SPACE …; a file that could not be completed is not there.
 */
export async function saveImages(
  store: Store,
  names: readonly string[],
  target: string | Writable,
  { format = 'oci-archive', since = [], platform, signal }: SaveOptions = {},
): Promise<readonly string[]> {
  if (names.length === 0) throw new SlipwayError('E_USAGE', 'no image to save');
  return store.use(async () => {
    const [images, bases] = [await find(store, names), await find(store, since)];
    if (format === 'docker-archive') {
      if (bases.length > 0) {
        throw new SlipwayError('E_USAGE', 'a docker archive cannot leave out what other images have', {
          hint: 'use --format oci-archive with --since',
        });
      }
      await writeOutput(dockerArchive(store, images, platform), target, signal);
    } else if (format === 'oci-archive') {
      await writeOutput(ociArchive(store, images, bases), target, signal);
    } else {
      if (typeof target !== 'string') throw new SlipwayError('E_USAGE', 'a directory cannot be written to a stream');
      await writeLayoutDirectory(store, images, bases, target);
    }
    return images.map(({ name }) => name);
  });
}

async function find(store: Store, names: readonly string[]): Promise<readonly NamedImage[]> {
  const images: NamedImage[] = [];
  for (const name of names) images.push(await findImage(store, name));
  return images;
}
