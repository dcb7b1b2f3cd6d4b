import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { errnoOf, fileSystemError, isSlipwayError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { type Descriptor, descriptorSchema } from '../image/oci.js';
import { isMounted, mountOverlay, unmount } from '../layers/overlay.js';
import { replaceFile } from './durable.js';
import { layersOf, unpackedLayers } from './layer-store.js';
import type { LocalImage } from './local-image.js';
import { tryLock, withLock } from './locks.js';
import type { Store } from './store.js';

/** In the directory of the records: held by whoever changes them. */
const LOCK = 'lock';

const mountSchema = z.object({
  name: z.string(),
  descriptor: descriptorSchema,
  target: z.string(),
  ownTarget: z.boolean(),
});

/** An image whose merged rootfs can be seen at a directory of this machine. */
export interface ImageMount {
  /** The name it was mounted by. */
  readonly name: string;
  readonly descriptor: Descriptor;
  readonly target: string;
  /** The directory was made for the mount and goes with it. */
  readonly ownTarget: boolean;
}

/**
 * Mounts the merged rootfs of an image, read-only. Without `target`, at a directory of the store.
 * Mounting the same image at the same place again changes nothing.
 * @param debug as of unpackedLayers.
 * @throws SlipwayError E_MOUNT when the target is not an empty directory, E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function mountImage(
  store: Store,
  image: LocalImage,
  target?: string,
  debug?: (line: string) => void,
): Promise<ImageMount> {
  const dir = await store.directory('data', 'mounts');
  const place =
    target === undefined
      ? join(dir, image.descriptor.digest.slice('sha256:'.length, 'sha256:'.length + 12))
      : resolve(target);
  const mount: ImageMount = {
    name: image.name,
    descriptor: image.descriptor,
    target: place,
    ownTarget: target === undefined,
  };
  return store.use(async () => {
    const existing = await existingMount(store, mount);
    if (existing !== undefined) return existing;
    const layers = await unpackedLayers(store, layersOf(image), debug);
    return changeMounts(dir, async () => {
      // Another process may have been quicker.
      const meanwhile = await existingMount(store, mount);
      if (meanwhile !== undefined) return meanwhile;
      // The record comes first: a collection must never remove layers under a mount, at worst it keeps some too long.
      await replaceFile(recordFile(dir, place), await store.temp.path('mount'), JSON.stringify(mount));
      try {
        await mountOverlay({
          lower: layers.map((layer) => layer.dir),
          target: place,
          readOnly: true,
          scratch: await scratchDirectory(store),
        });
      } catch (error) {
        await forget(dir, mount);
        throw error;
      }
      return mount;
    });
  });
}

/** What is at the place of a mount already; the place is made when it is missing. @throws SlipwayError E_MOUNT when it is something else. */
async function existingMount(store: Store, { target, descriptor }: ImageMount): Promise<ImageMount | undefined> {
  const existing = (await imageMounts(store)).find((other) => other.target === target);
  if (existing !== undefined) {
    if (existing.descriptor.digest === descriptor.digest) return existing;
    throw new SlipwayError('E_MOUNT', `${target} already shows ${existing.name}`, { hint: `slipway umount ${target}` });
  }
  if (await isMounted(target))
    throw new SlipwayError('E_MOUNT', `${target} is a mount point already`, { hint: 'choose another directory' });
  await makeDirectory(target);
  if ((await readdir(target)).length > 0) {
    throw new SlipwayError('E_MOUNT', `${target} is not empty`, {
      hint: 'a mount would hide its content; choose an empty directory',
    });
  }
  return undefined;
}

/** What is mounted now. Records of mounts that are gone (a reboot, `umount` by hand) are forgotten on the way. */
export async function imageMounts(store: Store): Promise<ImageMount[]> {
  const dir = join(store.root, 'data', 'mounts');
  const mounts: ImageMount[] = [];
  const gone: string[] = [];
  for (const file of await listRecords(dir)) {
    const mount = await readRecord(join(dir, file));
    if (mount !== undefined && (await isMounted(mount.target))) mounts.push(mount);
    else gone.push(file);
  }
  if (gone.length > 0) await forgetGone(dir, gone);
  return mounts;
}

/** Unless somebody mounts something at this moment: a record comes before its mount. */
async function forgetGone(dir: string, files: readonly string[]): Promise<void> {
  const lock = await tryLock(join(dir, LOCK), 'exclusive', { waitSeconds: 0 }).catch((error: unknown) => {
    if (isSlipwayError(error, 'E_PERMISSION', 'E_NO_SPACE')) return undefined; // who only looks need not be able to write
    throw error;
  });
  if (lock === undefined) return;
  try {
    for (const file of files) {
      const mount = await readRecord(join(dir, file));
      if (mount === undefined) await rm(join(dir, file), { force: true });
      else if (!(await isMounted(mount.target))) await forget(dir, mount);
    }
  } finally {
    await lock.release();
  }
}

/** Takes a mount away. A directory that was made for it goes too. */
export async function unmountImage(store: Store, mount: ImageMount): Promise<void> {
  const dir = join(store.root, 'data', 'mounts');
  await changeMounts(dir, async () => {
    await unmount(mount.target);
    await forget(dir, mount);
  });
}

/** Forgets a mount that is gone. Its record goes last: who comes after a crash finds by it what is left. */
async function forget(dir: string, { target, ownTarget }: ImageMount): Promise<void> {
  if (ownTarget) {
    await rmdir(target).catch((error: unknown) => {
      if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].includes(errnoOf(error) ?? '')) throw error;
    });
  }
  await rm(recordFile(dir, target), { force: true });
}

function changeMounts<T>(dir: string, work: () => Promise<T>): Promise<T> {
  return withLock(join(dir, LOCK), 'exclusive', 'the list of mounts', work);
}

/** In the corner of this process: swept when it is killed. */
async function scratchDirectory(store: Store): Promise<string> {
  const dir = await store.temp.path('mount');
  await mkdir(dir);
  return dir;
}

function recordFile(dir: string, target: string): string {
  return join(dir, `${createHash('sha256').update(target).digest('hex').slice(0, 16)}.json`);
}

async function listRecords(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => name.endsWith('.json'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined when it is gone, or says nothing that could be a mount. What cannot be read may be of a mount that is there. */
async function readRecord(file: string): Promise<ImageMount | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileSystemError(error, `reading ${file}`);
  }
  try {
    return mountSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
