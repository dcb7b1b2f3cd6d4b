import { constants } from 'node:fs';
import { access, readdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf, isSlipwayError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { removeTree } from '../base/remove-tree.js';
import { isMounted, unmount } from '../layers/overlay.js';
import { isSystemRoot } from '../layers/system-root.js';
import type { LocalImage } from './local-image.js';
import { findMount, seenHere } from './mount-namespace.js';
import { isIt, type PresentMount, presentMount } from './mount-presence.js';
import { type ImageMount, type MountKind, MountRecords } from './mount-records.js';
import { emptyDirectory, type Shown, type ShowOptions, showImage } from './show-image.js';
import type { Store } from './store.js';
import { takeAway, takenElsewhere } from './take-away.js';

export interface MountOptions extends Pick<ShowOptions, 'reporter' | 'signal'> {
  /** A directory that is empty or not there yet; default: one in the store. */
  readonly target?: string | undefined;
  /** Default: the best that this user can have. */
  readonly kind?: MountKind | undefined;
}

/**
 * Shows the merged rootfs of an image at a directory. Doing it again for the same image and place changes nothing; others that want the same at
 * once wait for it.
 * @throws SlipwayError E_MOUNT when the place is not an empty directory or the kernel refuses, E_PERMISSION, E_MISSING_PROGRAM, E_UNSUPPORTED for
 * an artifact.
 */
export async function mountImage(
  store: Store,
  image: LocalImage,
  { target, kind, reporter, signal }: MountOptions = {},
): Promise<Shown> {
  await checkWritable(store);
  const records = await MountRecords.of(store);
  const ownTarget = target === undefined;
  const place = ownTarget ? await ownPlace(records, image) : await foreignPlace(store, target);
  const { name, descriptor } = image;
  return store.use(async () => {
    const shown = await records.at(place, { wait: true, signal }, async (hold) => {
      const existing = await standingRecord(store, records, place);
      if (existing !== undefined) {
        const isSame = existing.descriptor.digest === descriptor.digest && existing.kind === (kind ?? existing.kind);
        if (existing.visible === 'here' && isSame) return { mount: existing };
        throw taken(existing);
      }
      const isNew = await prepare(store, place, ownTarget);
      try {
        return await showImage(
          store,
          records,
          image,
          { name, descriptor, target: place, ownTarget, whole: true },
          {
            ...(kind === undefined ? {} : { kind }),
            reporter,
            signal,
            hold,
          },
        );
      } catch (error) {
        if (isNew) await rmdir(place).catch(() => {});
        throw error;
      }
    });
    if (shown === undefined) throw new RangeError('unreachable: the lock was waited for');
    return shown;
  });
}

/** What is mounted now. What is lost (a reboot, `umount` by hand, a killed process or daemon) is cleaned up on the way, as far as that can be done. */
export async function imageMounts(store: Store): Promise<PresentMount[]> {
  const records = await MountRecords.of(store);
  const mounts: PresentMount[] = [];
  for (const mount of await records.list()) {
    const present = await presentMount(mount);
    if (present !== undefined) mounts.push(present);
    else if (!(await tidy(store, records, mount.target))) mounts.push({ ...mount, visible: 'changing' });
  }
  for (const stray of await records.strays()) await tidy(store, records, stray);
  await records.sweepLocks().catch((error: unknown) => {
    if (!isSlipwayError(error, 'E_PERMISSION', 'E_NO_SPACE')) throw error;
  });
  return mounts;
}

/**
 * Takes a mount away. A directory that was made for it goes too, and so does all that was changed in a copy.
 * @param lazy although it is in use.
 * @throws SlipwayError E_MOUNT when it is in use, or in another mount namespace that cannot be entered.
 */
export async function unmountImage(
  store: Store,
  { target }: Pick<ImageMount, 'target'>,
  { lazy = false, signal }: { readonly lazy?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const records = await MountRecords.of(store);
  await records.at(target, { wait: true, signal }, async () => {
    const mount = await records.read(target);
    if (mount === undefined) return; // somebody else was quicker
    if (mount.foreign === true) throw ofAnotherUser(mount);
    const present = await presentMount(mount);
    if (present !== undefined) await takeAway(present, lazy);
    await clear(store, records, mount);
  });
}

/** Without its record, nobody would know that the layers of a mount are needed. */
async function checkWritable(store: Store): Promise<void> {
  try {
    await access(await store.directory('data', 'mounts'), constants.W_OK);
  } catch (error) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) throw error;
    const why = errnoOf(error) === 'EROFS' ? 'is read-only' : 'may not be written to by this user';
    throw new SlipwayError('E_PERMISSION', `the store ${store.root} ${why}: a mount has to be noted in it`, {
      hint: 'bring the image into another store: slipway save -o FILE IMAGE, slipway load --root DIR -i FILE',
      cause: error,
    });
  }
}

/** In a user namespace, others who use the same store do not see what is mounted, and so it must not be where theirs is. */
async function ownPlace({ dir }: MountRecords, { descriptor }: LocalImage): Promise<string> {
  const id = descriptor.digest.slice('sha256:'.length, 'sha256:'.length + 12);
  const inNamespace = process.getuid?.() === 0 && !isSystemRoot();
  const namespace = inNamespace ? `-${(await seenHere()).mounts.replace(/\D/g, '')}` : '';
  return join(dir, `${id}${namespace}`);
}

async function foreignPlace(store: Store, target: string): Promise<string> {
  const place = await withoutLinks(resolve(target));
  const root = await realpath(store.root);
  if (place === root || place.startsWith(`${root}/`))
    throw new SlipwayError('E_MOUNT', `${place} is in the store itself`, {
      hint: 'choose another directory, or give none: then the store has one',
    });
  return place;
}

/** A path with the links in it resolved as far as it exists. What is mounted there may not answer. */
async function withoutLinks(path: string): Promise<string> {
  const real = await realpath(path).catch(() => undefined);
  if (real !== undefined || dirname(path) === path) return real ?? path;
  return join(await withoutLinks(dirname(path)), basename(path));
}

/** The mount at a place, which this process has locked; what is left of one that is lost is cleaned up. */
async function standingRecord(store: Store, records: MountRecords, place: string): Promise<PresentMount | undefined> {
  const mount = await records.read(place);
  if (mount === undefined) return undefined;
  const present = await presentMount(mount);
  if (mount.foreign === true && present === undefined) throw ofAnotherUser(mount);
  if (present === undefined || present.visible === 'unfinished') await clear(store, records, mount);
  else return present;
  return undefined;
}

/**
 * Cleans up at a place where nothing is mounted any more, unless another process works at it, or nothing may be written.
 * @returns false when something may be there.
 */
async function tidy(store: Store, records: MountRecords, place: string): Promise<boolean> {
  try {
    const done = await records.at(place, { wait: false }, async () => {
      const mount = await records.read(place);
      if (mount?.foreign === true) return false;
      if (mount === undefined) await discardPlace(store, place);
      else if ((await presentMount(mount)) !== undefined) return false;
      else await clear(store, records, mount);
      return true;
    });
    return done ?? false;
  } catch (error) {
    // Who only looks need not be able to write.
    if (!isSlipwayError(error, 'E_PERMISSION', 'E_NO_SPACE', 'E_MOUNT')) throw error;
    return true;
  }
}

/** Makes an empty directory at a place. @returns true when there was none. */
async function prepare(store: Store, place: string, ownTarget: boolean): Promise<boolean> {
  if (ownTarget) await discardPlace(store, place);
  else if (await isMounted(place)) {
    throw new SlipwayError('E_MOUNT', `${place} is a mount point already`, { hint: 'choose another directory' });
  }
  const found = await stat(place).catch(() => undefined);
  if (found === undefined) {
    await makeDirectory(place);
    return true;
  }
  if (!found.isDirectory()) throw new SlipwayError('E_MOUNT', `${place} is no directory`);
  if ((await readdir(place)).length > 0) {
    throw new SlipwayError('E_MOUNT', `${place} is not empty`, {
      hint: 'a mount would hide its content; choose an empty directory',
    });
  }
  return false;
}

/** Removes what a mount was, or may have been, of which nothing can be seen here any more. */
async function clear(store: Store, records: MountRecords, mount: ImageMount): Promise<void> {
  const { target, kind, ownTarget, seenIn } = mount;
  // A program that is dead is mounted still.
  if (kind !== 'copy' && (await findMount((entry) => isIt(entry, mount), seenIn)).where === 'here')
    await unmount(target, { lazy: true });
  if (ownTarget) await discardPlace(store, target);
  else if (kind === 'copy') {
    await records.write({ ...mount, whole: false });
    await emptyDirectory(mount);
  }
  await removeTree(records.beside(target));
  await records.remove(target);
}

/** Removes a place of the store. */
async function discardPlace(store: Store, place: string): Promise<void> {
  await unmount(place, { lazy: true });
  await store.temp.discard(place);
}

function ofAnotherUser({ name, target }: ImageMount): SlipwayError {
  return new SlipwayError('E_PERMISSION', `another user has mounted ${name} at ${target}`, {
    hint: 'only that user can take it away: what a record of another user says is not believed',
  });
}

function taken(existing: PresentMount): SlipwayError {
  const { name, target, visible, kind } = existing;
  if (visible === 'elsewhere') return takenElsewhere(existing);
  return new SlipwayError('E_MOUNT', `${target} already shows ${name} (${kind})`, {
    hint: `slipway umount ${target}, or give another directory`,
  });
}
