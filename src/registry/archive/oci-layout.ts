import { constants } from 'node:fs';
import { copyFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errnoOf, fileSystemError, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import { algorithmOf, type Digest, hexOf } from '../../image/digest.js';
import { MEDIA } from '../../image/media-types.js';
import { encodeJson } from '../../image/oci.js';
import { canonicalName, parseReference } from '../../image/reference.js';
import { tarStream } from '../../layers/tar-stream-out.js';
import { comparePaths, type PackEntry } from '../../layers/toc.js';
import type { Store } from '../../store/store.js';
import { CONTAINERD_NAME, type NamedImage, REF_NAME, reachable, SINCE } from './archive-image.js';

/**
 * The files of an OCI image layout with these images, sorted; image-spec, image-layout.md.
 * @param since images whose content is left out: the archive can only be loaded where they are.
 */
export async function layoutFiles(
  store: Store,
  images: readonly NamedImage[],
  since: readonly NamedImage[],
): Promise<readonly PackEntry[]> {
  const left = new Set<Digest>();
  for (const image of since) for (const { digest } of await reachable(store, image)) left.add(digest);
  const blobs = new Map<Digest, number>();
  for (const image of images) {
    for (const { digest, size } of await reachable(store, image)) if (!left.has(digest)) blobs.set(digest, size);
  }
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: images.map(({ name, descriptor }) => ({
      ...descriptor,
      annotations: nameAnnotations(name, descriptor.annotations),
    })),
    ...(since.length === 0
      ? {}
      : {
          annotations: {
            [SINCE]: since.map(({ name, descriptor }) => `${name.replace(/@.*$/, '')}@${descriptor.digest}`).join(' '),
          },
        }),
  };
  const files = [
    bytesFile('oci-layout', encodeJson({ imageLayoutVersion: '1.0.0' })),
    bytesFile('index.json', encodeJson(index)),
    ...[...blobs].map(([digest, size]) => blobFile(store, digest, size)),
  ];
  const directories = new Set(['blobs', ...files.map(({ path }) => dirname(path)).filter((path) => path !== '.')]);
  return [...[...directories].map(directory), ...files].sort((a, b) => comparePaths(a.path, b.path));
}

/** An OCI layout as a tar: `oci-archive`. */
export async function* ociArchive(
  store: Store,
  images: readonly NamedImage[],
  since: readonly NamedImage[],
): AsyncGenerator<Uint8Array, void, void> {
  yield* tarStream(await layoutFiles(store, images, since));
}

/**
 * An OCI layout as a directory, which must be empty or missing. `index.json` comes last: without it there is no layout.
 * @throws SlipwayError E_USAGE, E_NO_SPACE, E_PERMISSION.
 */
export async function writeLayoutDirectory(
  store: Store,
  images: readonly NamedImage[],
  since: readonly NamedImage[],
  target: string,
): Promise<void> {
  const root = resolve(target);
  try {
    const there = await readdir(root).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    });
    if (there.length > 0) {
      throw new SlipwayError('E_USAGE', `${root} is not empty`, {
        hint: 'name a directory that is empty or does not exist',
      });
    }
    await makeDirectory(root);
    const last = (path: string): number => Number(path === 'index.json');
    for (const { path, type, content } of [...(await layoutFiles(store, images, since))].sort(
      (a, b) => last(a.path) - last(b.path),
    )) {
      const file = join(root, path);
      if (type === 'dir') await makeDirectory(file);
      else if (content !== undefined && 'file' in content)
        await copyFile(content.file, file, constants.COPYFILE_FICLONE);
      else await writeFile(file, content?.bytes ?? '', { flush: true });
    }
  } catch (error) {
    throw fileSystemError(error, `writing the OCI layout ${root}`);
  }
}

function nameAnnotations(name: string, others: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const reference = parseReference(name);
  return {
    ...others,
    [REF_NAME]: name,
    ...(reference.tag === undefined ? {} : { [CONTAINERD_NAME]: canonicalName(reference) }),
  };
}

function blobFile(store: Store, digest: Digest, size: number): PackEntry {
  const path = `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
  return { ...plain(path, 'file', 0o644), size, content: { file: store.blobPath(digest) } };
}

function bytesFile(path: string, bytes: Buffer): PackEntry {
  return { ...plain(path, 'file', 0o644), size: bytes.byteLength, content: { bytes } };
}

function directory(path: string): PackEntry {
  return plain(path, 'dir', 0o755);
}

function plain(path: string, type: 'file' | 'dir', mode: number): PackEntry {
  return { path, type, mode, uid: 0, gid: 0, size: 0, mtime: 0 };
}
