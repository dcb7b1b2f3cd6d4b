import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { readRegularFile } from '../../base/read-regular-file.js';
import { refuseLink } from '../../base/refuse-link.js';
import { type Descriptor, encodeJson } from '../../image/oci.js';
import { Blobs } from '../../store/blobs.js';
import { ImageIndex } from '../../store/image-index.js';
import { TempSpace } from '../../store/temp.js';
import type { ContentSource, ContentTarget } from '../content.js';
import { storeTarget } from '../store-content.js';
import { type NamedImage, namedDescriptor } from './archive-image.js';
import { directoryFiles } from './directory-files.js';
import { blobPath, layoutContent } from './layout-content.js';

const LAYOUT_FILE = 'oci-layout';
const INDEX_FILE = 'index.json';
/** Everything unfinished; taken away again when nothing is in it. */
const UNFINISHED = '.slipway-tmp';

/** An OCI layout in a directory, to be written to. */
export interface LayoutDirectory {
  readonly content: ContentTarget;
  /** What is there already. */
  readonly known: ContentSource;
  /** Adds an image all of whose content is there, in place of the one that has the name; all others stay. */
  add(name: string | undefined, descriptor: Descriptor): Promise<void>;
  /** {@link add} for many, and says something about the layout as a whole: all at once, or nothing. */
  addAll(images: readonly NamedImage[], annotations: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
  /** Closes it as it is when something has failed. It stays {@link isEmptyOrUnfinished}, even if it has its names already. */
  abandon(): Promise<void>;
}

/**
 * Opens an OCI layout for writing, or makes one where nothing is. Any number of processes may write to one: a blob appears whole and
 * verified, and `index.json` is replaced whole under a lock, which is held on `oci-layout`. What arrived before something failed stays
 * for the next try: blobs that no name reaches, and the beginnings of large ones.
 * @throws SlipwayError E_USAGE when something else is in the directory, E_STORE when its index cannot be read, E_NO_SPACE, E_PERMISSION.
 */
export async function openLayoutDirectory(dir: string): Promise<LayoutDirectory> {
  const root = resolve(dir);
  const what = `writing the OCI layout ${root}`;
  try {
    await checkLayoutDirectory(root);
    for (const names of [['blobs'], ['blobs', 'sha256'], ['blobs', 'sha512'], [UNFINISHED]])
      await refuseLink(join(root, ...names), 'a layout keeps its blobs in itself', 'copy to another directory');
    await makeDirectory(join(root, 'blobs', 'sha256'));
    await makeLayoutFile(root);
  } catch (error) {
    throw fileSystemError(error, what);
  }
  const temp = new TempSpace(join(root, UNFINISHED));
  const place = { blobs: new Blobs(join(root, 'blobs'), temp), temp };
  const index = new ImageIndex(join(root, INDEX_FILE), join(root, LAYOUT_FILE), temp, { what: `the index of ${root}` });
  await index.list(); // what cannot be read now could not be added to in the end
  const files = directoryFiles(root);
  return {
    content: storeTarget(place, { label: root }),
    known: {
      ...layoutContent(files),
      has: async (descriptor) => (await files.size(blobPath(descriptor))) === descriptor.size,
    },
    add: (name, descriptor) =>
      name === undefined ? index.addNameless(descriptor) : index.tag(name, namedDescriptor(name, descriptor)),
    addAll: (images, annotations) =>
      index.tagAll(
        images.map(({ name, descriptor }) => ({ name, descriptor: namedDescriptor(name, descriptor) })),
        annotations,
      ),
    close: () => temp.leave(),
    abandon: () => temp.close(),
  };
}

/**
 * Looks whether a directory can be written to as an OCI layout: it is one, or empty, or missing.
 * @throws SlipwayError E_USAGE, E_UNSUPPORTED for a layout of another version.
 */
export async function checkLayoutDirectory(root: string): Promise<void> {
  const found = await stat(root).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isDirectory())
    throw new SlipwayError('E_USAGE', `${root} is no directory`, { hint: `an archive is named oci-archive:${root}` });
  const names = await readdir(root);
  if (isEmptyOrUnfinished(names)) return;
  if (!names.includes(LAYOUT_FILE) && !names.includes(INDEX_FILE)) {
    throw new SlipwayError('E_USAGE', `${root} is not empty, and no OCI layout`, {
      hint: 'name a layout, or a directory that is empty or does not exist',
    });
  }
  if (names.includes('users.lock') || (names.includes('data') && names.includes('tmp'))) {
    throw new SlipwayError('E_USAGE', `${root} is a store of slipway, which only its own commands may change`, {
      hint: `copy to store:NAME, with --root ${root}`,
    });
  }
  if (!names.includes(LAYOUT_FILE)) return;
  const text = await readRegularFile(join(root, LAYOUT_FILE));
  // empty: somebody is making it, or was killed as he did
  if (text !== '' && !text.includes('"1.0.0"'))
    throw new SlipwayError('E_UNSUPPORTED', `${root} is an OCI layout of another version: ${text.slice(0, 100)}`);
}

/**
 * Whether a directory with these names in it is empty, or a layout that was begun by a process which was killed or failed: nothing has a name in it
 * yet, or there still is the space for what is unfinished, which goes last.
 */
export function isEmptyOrUnfinished(names: readonly string[]): boolean {
  const ours = names.every(
    (name) => name === INDEX_FILE || name === 'blobs' || name === UNFINISHED || name.startsWith(LAYOUT_FILE),
  );
  return ours && (!names.includes(INDEX_FILE) || names.includes(UNFINISHED));
}

/** Never replaced once it is there: it is what writers lock. Those that make it at the same moment write the same bytes to the same place. */
async function makeLayoutFile(root: string): Promise<void> {
  const handle = await open(
    join(root, LAYOUT_FILE),
    constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
    0o644,
  );
  try {
    if ((await handle.stat()).size > 0) return;
    const bytes = encodeJson({ imageLayoutVersion: '1.0.0' });
    await handle.write(bytes, 0, bytes.length, 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
