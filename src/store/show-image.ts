import { chmod, chown, mkdir, rename, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { emptyTree, removeTree } from '../base/remove-tree.js';
import { type Reporter, silentReporter } from '../base/reporter.js';
import { fuseObstacle, mountFuseOverlay } from '../layers/fuse-overlay.js';
import { correctedDirectories, mountLayers } from '../layers/mount-layers.js';
import { mountTable } from '../layers/mount-table.js';
import { mountOverlay, unmount } from '../layers/overlay.js';
import { layersOf, unpackedLayers, unpackMerged } from './layer-store.js';
import type { LocalImage } from './local-image.js';
import { seenHere } from './mount-namespace.js';
import type { ImageMount, MountKind, MountRecords } from './mount-records.js';
import type { Store } from './store.js';

export interface ShowOptions {
  /** Default: the first that works of overlay (for root), fuse and copy. */
  readonly kind?: MountKind;
  readonly reporter?: Reporter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Descriptor of the lock on the place; programs that mount keep it. */
  readonly hold: number;
}

export interface Shown {
  readonly mount: ImageMount;
  /** Why it is nothing better: one sentence for each kind that was not possible. */
  readonly obstacles?: readonly string[];
}

/** What happens when the kernel, or this machine, does not let us; anything else would happen with the next kind too. */
const NEXT_KIND = ['E_MOUNT', 'E_PERMISSION', 'E_UNSUPPORTED', 'E_MISSING_PROGRAM'] as const;

/**
 * Shows an image at a place that is an empty directory, and that this process has locked.
 * @throws SlipwayError having left nothing behind.
 */
export async function showImage(
  store: Store,
  records: MountRecords,
  image: LocalImage,
  wanted: Omit<ImageMount, 'kind'>,
  options: ShowOptions,
): Promise<Shown> {
  const obstacles: string[] = [];
  const kinds = options.kind === undefined ? await possibleKinds(store, obstacles) : [options.kind];
  for (const kind of kinds) {
    const mount = { ...wanted, kind };
    try {
      const made =
        kind === 'copy'
          ? await copy(store, records, image, mount, options)
          : await overlay(store, records, image, mount, options);
      return { mount: made, ...(options.kind === undefined ? { obstacles } : {}) };
    } catch (error) {
      await undo(records, mount);
      if (kind === kinds.at(-1) || !isSlipwayError(error, ...NEXT_KIND)) throw error;
      obstacles.push(error.message);
    }
  }
  throw new RangeError('unreachable: a copy is always possible');
}

/** The best first. Whoever may not mount at all need not unpack the layers for it. */
async function possibleKinds(store: Store, obstacles: string[]): Promise<readonly MountKind[]> {
  const kinds: MountKind[] = [];
  if (process.getuid?.() === 0) {
    const obstacle = await overlayObstacle(await scratchDirectory(store));
    if (obstacle === undefined) kinds.push('overlay');
    else obstacles.push(obstacle);
  }
  const obstacle = await fuseObstacle();
  if (obstacle === undefined) kinds.push('fuse');
  else if (kinds.length === 0) obstacles.push(obstacle);
  return [...kinds, 'copy'];
}

/** Tries overlayfs where the layers will be. */
async function overlayObstacle(scratch: string): Promise<string | undefined> {
  const [a, b, target] = ['a', 'b', 'target'].map((name) => join(scratch, name)) as [string, string, string];
  for (const dir of [a, b, target]) await mkdir(dir);
  try {
    await mountOverlay({ lower: [a, b], target, scratch });
    await unmount(target, { lazy: true });
    return undefined;
  } catch (error) {
    if (!isSlipwayError(error, ...NEXT_KIND)) throw error;
    return `overlayfs cannot be mounted: ${error.message.replace(/^.*?: |\.$/g, '')}`;
  }
}

async function overlay(
  store: Store,
  records: MountRecords,
  image: LocalImage,
  mount: ImageMount,
  { reporter = silentReporter, signal, hold }: ShowOptions,
): Promise<ImageMount> {
  const { kind, target } = mount;
  if (kind === 'overlay' && process.getuid?.() !== 0)
    throw new SlipwayError('E_PERMISSION', 'overlayfs can only be mounted by root, or by root of a user namespace', {
      hint: '"slipway unshare" makes such a namespace',
    });
  const layers = await unpackedLayers(store, layersOf(image), { debug: reporter.debug, reporter, signal });
  const seen = { ...mount, seenIn: await seenHere() };
  // The record comes first: a collection must never remove layers under a mount, at worst it keeps some too long.
  await records.write(seen);
  const beside = records.beside(target);
  const scratch = await scratchDirectory(store);
  if (kind === 'overlay') await mountLayers({ layers, beside, target, readOnly: true, inert: true, scratch, hold });
  else await mountFuseOverlay({ lower: await correctedDirectories(layers, beside), target, scratch, hold });
  const device = (await mountTable()).findLast(({ place }) => place === target)?.device;
  const made = { ...seen, device };
  await records.write(made);
  return made;
}

/** Unpacks the layers upon each other. In a directory of somebody's own, others may come: no program of the image gets rights there. */
async function copy(
  store: Store,
  records: MountRecords,
  image: LocalImage,
  mount: ImageMount,
  { reporter = silentReporter, signal }: ShowOptions,
): Promise<ImageMount> {
  const layers = layersOf(image);
  const { target, ownTarget } = mount;
  if (ownTarget) {
    const dir = await scratchDirectory(store);
    await chmod(dir, 0o755);
    await unpackMerged(store, layers, dir, { debug: reporter.debug, reporter, signal });
    await records.write(mount);
    await rmdir(target);
    await rename(dir, target);
    return mount;
  }
  const { ino, mode, uid, gid } = await stat(target);
  const made = { ...mount, before: { ino, mode: mode & 0o7777, uid, gid } };
  await records.write({ ...made, whole: false });
  await unpackMerged(store, layers, target, { debug: reporter.debug, reporter, signal, setuid: false });
  await records.write(made);
  return made;
}

/** True when a copy is at its place still; a directory that somebody else has made there meanwhile is none of ours. */
export async function holdsCopy({ target, ownTarget, before }: ImageMount): Promise<boolean> {
  const found = await stat(target).catch(() => undefined);
  return found?.isDirectory() === true && (ownTarget || found.ino === before?.ino);
}

/** Takes a copy out of a directory of somebody's own, which stays as it was before. */
export async function emptyDirectory(mount: ImageMount): Promise<void> {
  const { target, before } = mount;
  if (before === undefined || !(await holdsCopy(mount))) return;
  await emptyTree(target);
  if (process.getuid?.() === 0) await chown(target, before.uid, before.gid);
  await chmod(target, before.mode);
}

async function undo(records: MountRecords, mount: ImageMount): Promise<void> {
  const { kind, target, ownTarget } = mount;
  if (kind !== 'copy') await unmount(target, { lazy: true });
  else if (!ownTarget) await emptyDirectory((await records.read(target)) ?? mount);
  await removeTree(records.beside(target));
  await records.remove(target);
}

/** In the corner of this process: swept when it is killed. */
async function scratchDirectory(store: Store): Promise<string> {
  const dir = await store.temp.path('mount');
  await mkdir(dir);
  return dir;
}
