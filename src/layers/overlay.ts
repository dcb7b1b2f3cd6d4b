import { mkdir, mkdtemp, readdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SlipwayError } from '../base/errors.js';
import { mountProgram } from './mount-program.js';
import { mountPoints } from './mount-table.js';
import { overlayXattrPrefix } from './system-root.js';

export interface OverlayMount {
  /** Directories of the layers, lowest first. */
  readonly lower: readonly string[];
  /** Where changes go; without it nothing can be changed. */
  readonly upper?: string;
  /** An empty directory on the file system of `upper`; needed with it. */
  readonly work?: string;
  /** An existing directory; an empty one when there is no `upper` and less than two layers. */
  readonly target: string;
  readonly readOnly?: boolean;
  /** Where the links to the layers may be while the mount is made, for example what a caller sweeps after a crash; default the system's. */
  readonly scratch?: string;
}

/** OVL_MAX_STACK in the kernel's fs/overlayfs/params.h. */
const MAX_LOWER = 500;
/** More mounts than this on top of each other are no accident of ours. */
const MOST_STACKED = 100;
/** Files and directories that are changed go to `upper` whole, so that they can be read there without the layers below. */
const FEATURES = 'redirect_dir=off,metacopy=off,index=off';
/** The same where marks are in `user.` attributes; the kernel then has no redirects and no metacopy, and refuses to hear of them. */
const USER_FEATURES = 'userxattr,index=off';

/**
 * Shows the layers merged at `target`.
 *
 * The data of a mount is one page, so the directories are named by short links in a temporary directory that mount(8) runs in: neither
 * the length of their paths nor the characters in them matter, and 500 of them, which is overlayfs's limit, take 1.5 KiB. Of more
 * layers the lowest ones are merged in a mount of their own first, which is detached once it is part of the other.
 *
 * @throws SlipwayError E_MOUNT when the kernel refuses or a directory is missing; E_UNSUPPORTED for more than 999 layers; E_PERMISSION
 * without the right to mount; E_MISSING_PROGRAM without mount(8).
 */
export async function mountOverlay({
  lower,
  upper,
  work,
  target,
  readOnly = false,
  scratch = tmpdir(),
}: OverlayMount): Promise<void> {
  const place = resolve(target);
  if (lower.length >= 2 * MAX_LOWER) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `cannot mount ${lower.length} layers at ${place}: overlayfs takes ${2 * MAX_LOWER - 1}`,
      {
        hint: 'build the image anew with fewer instructions that change files',
      },
    );
  }
  if (lower.length === 0 && upper === undefined) {
    throw new SlipwayError('E_MOUNT', `cannot mount ${place}: there are no layers`);
  }
  for (const dir of [...lower, ...(upper === undefined ? [] : [upper, work ?? '']), place])
    await checkDirectory(dir, place);
  const farm = await mkdtemp(join(scratch, 'slipway-overlay-'));
  const nested = join(farm, 'nested');
  try {
    // overlayfs wants the topmost first.
    const names = await Promise.all([...lower].reverse().map((dir, index) => linkIn(farm, index.toString(36), dir)));
    if (names.length > MAX_LOWER) {
      await mkdir(nested);
      await mountOne(farm, [`lowerdir=${names.splice(MAX_LOWER - 1).join(':')}`], nested, true);
      names.push('nested');
    }
    // Two lower directories are the least without an upper one, and one with it. A mount may lie on one of its own lower directories.
    if (names.length < (upper === undefined ? 2 : 1)) names.push(await linkIn(farm, 'empty', await emptyPlace(place)));
    const options = [`lowerdir=${names.join(':')}`];
    if (upper !== undefined) {
      options.push(
        `upperdir=${await linkIn(farm, 'upper', upper)}`,
        `workdir=${await linkIn(farm, 'work', work ?? '')}`,
      );
    }
    await mountOne(farm, options, place, readOnly || upper === undefined);
  } finally {
    if (await isMounted(nested)) await mountProgram('umount', ['-l', nested], farm, `unmounting ${nested}`);
    await rm(farm, { recursive: true, force: true });
  }
}

/** True when something is mounted at `target`. */
export async function isMounted(target: string): Promise<boolean> {
  const place = await realpath(target).catch(() => undefined);
  if (place === undefined) return false;
  return (await mountPoints()).includes(place);
}

/**
 * Takes away what is mounted at `target`; nothing is done when nothing is.
 *
 * @param lazy detach it although it is in use; it goes when it is no longer.
 * @throws SlipwayError E_MOUNT when it is in use, E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function unmount(target: string, { lazy = false }: { readonly lazy?: boolean } = {}): Promise<void> {
  for (let round = 0; round < MOST_STACKED && (await isMounted(target)); round++) {
    const place = await realpath(target);
    try {
      await mountProgram('umount', [...(lazy ? ['-l'] : []), place], '/', `unmounting ${place}`);
    } catch (error) {
      // Somebody else was quicker.
      if (await isMounted(target)) throw error;
    }
  }
}

async function linkIn(farm: string, name: string, dir: string): Promise<string> {
  await symlink(resolve(dir), join(farm, name));
  return name;
}

async function mountOne(farm: string, options: readonly string[], target: string, readOnly: boolean): Promise<void> {
  const features = overlayXattrPrefix() === 'user' ? USER_FEATURES : FEATURES;
  const all = [readOnly ? 'ro' : 'rw', ...options, features];
  await mountProgram(
    'mount',
    ['-t', 'overlay', '-o', all.join(','), 'overlay', target],
    farm,
    `mounting layers at ${target}`,
  );
}

async function checkDirectory(dir: string, target: string): Promise<void> {
  const found = await stat(dir).catch(() => undefined);
  if (found?.isDirectory() !== true) {
    throw new SlipwayError(
      'E_MOUNT',
      `cannot mount layers at ${target}: ${dir || 'the work directory'} is no directory`,
    );
  }
}

async function emptyPlace(target: string): Promise<string> {
  if ((await readdir(target)).length === 0) return target;
  throw new SlipwayError('E_MOUNT', `cannot mount layers at ${target}: it is not empty`, {
    hint: 'choose an empty directory',
  });
}
