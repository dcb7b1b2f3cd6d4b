import { mkdtemp, readdir, realpath, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoOf, SlipwayError } from '../base/errors.js';
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
  /** Programs in it get no rights from their setuid bits, and devices are none. */
  readonly inert?: boolean;
  /** A descriptor that mount(8) keeps open while it works, as that of a lock. */
  readonly hold?: number;
  /** Where the links to the layers may be while the mount is made, for example what a caller sweeps after a crash; default the system's. */
  readonly scratch?: string;
}

/** OVL_MAX_STACK in the kernel's fs/overlayfs/params.h. */
export const MAX_LOWER = 500;
/** More mounts than this on top of each other are no accident of ours. */
const MOST_STACKED = 100;
/** Files and directories that are changed go to `upper` whole, so that they can be read there without the layers below. */
const FEATURES = 'redirect_dir=off,metacopy=off,index=off';
/** The same where marks are in `user.` attributes; the kernel then has no redirects and no metacopy, and refuses to hear of them. */
const USER_FEATURES = 'userxattr,index=off';

/**
 * Shows directories merged at `target`.
 *
 * The data of a mount is one page, so the directories are named by short links in a temporary directory that mount(8) runs in: neither
 * the length of their paths nor the characters in them matter, and 500 of them, which is overlayfs's limit, take 1.5 KiB.
 *
 * @throws SlipwayError E_MOUNT when the kernel refuses or a directory is missing; E_UNSUPPORTED for more than 500 directories; E_PERMISSION
 * without the right to mount; E_MISSING_PROGRAM without mount(8).
 */
export async function mountOverlay({
  lower,
  upper,
  work,
  target,
  readOnly = false,
  inert = false,
  hold,
  scratch = tmpdir(),
}: OverlayMount): Promise<void> {
  const place = resolve(target);
  if (lower.length > MAX_LOWER)
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `cannot mount ${lower.length} layers at ${place}: overlayfs takes ${MAX_LOWER}`,
    );
  if (lower.length === 0 && upper === undefined) {
    throw new SlipwayError('E_MOUNT', `cannot mount ${place}: there are no layers`);
  }
  for (const dir of [...lower, ...(upper === undefined ? [] : [upper, work ?? '']), place])
    await checkDirectory(dir, place);
  const farm = await mkdtemp(join(scratch, 'slipway-overlay-'));
  try {
    // overlayfs wants the topmost first.
    const names = await Promise.all([...lower].reverse().map((dir, index) => linkIn(farm, index.toString(36), dir)));
    // Two lower directories are the least without an upper one, and one with it. A mount may lie on one of its own lower directories.
    if (names.length < (upper === undefined ? 2 : 1)) names.push(await linkIn(farm, 'empty', await emptyPlace(place)));
    const options = [
      readOnly || upper === undefined ? 'ro' : 'rw',
      ...(inert ? ['nosuid', 'nodev'] : []),
      `lowerdir=${names.join(':')}`,
    ];
    if (upper !== undefined) {
      options.push(
        `upperdir=${await linkIn(farm, 'upper', upper)}`,
        `workdir=${await linkIn(farm, 'work', work ?? '')}`,
      );
    }
    options.push(overlayXattrPrefix() === 'user' ? USER_FEATURES : FEATURES);
    const args = ['-t', 'overlay', '-o', options.join(','), 'overlay', place];
    await mountProgram('mount', args, { cwd: farm, what: `mounting layers at ${place}`, hold });
  } finally {
    // Links that cannot be removed are no reason to give up what is mounted.
    await rm(farm, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** True when something is mounted at `target`, be it dead or closed to this user. */
export async function isMounted(target: string): Promise<boolean> {
  const place = await realPlace(target);
  return place !== undefined && (await mountPoints()).includes(place);
}

/**
 * Takes away what is mounted at `target`; nothing is done when nothing is.
 *
 * @param lazy detach it although it is in use; it goes when it is no longer.
 * @throws SlipwayError E_MOUNT when it is in use (`details.busy`), E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function unmount(target: string, { lazy = false }: { readonly lazy?: boolean } = {}): Promise<void> {
  for (let round = 0; round < MOST_STACKED && (await isMounted(target)); round++) {
    const place = (await realPlace(target)) ?? target;
    try {
      await unmountTopmost(place, { lazy });
    } catch (error) {
      // Somebody else was quicker.
      if (await isMounted(target)) throw error;
    }
  }
}

/**
 * Takes away what was mounted last at `place`, a path without links. An ordinary user can only take away what fusermount has mounted.
 * @throws SlipwayError as {@link unmount}; E_MOUNT when nothing is mounted.
 */
export async function unmountTopmost(place: string, { lazy = false }: { readonly lazy?: boolean } = {}): Promise<void> {
  const what = `unmounting ${place}`;
  if (process.getuid?.() === 0) await mountProgram('umount', [...(lazy ? ['-l'] : []), place], { what });
  else await mountProgram('fusermount3', ['-u', ...(lazy ? ['-z'] : []), place], { what });
}

/**
 * A path without links, as the mount table has it; undefined when nothing is there. What is mounted at the path itself may not answer: its daemon
 * is dead (ENOTCONN), or it is another user's (EACCES).
 */
async function realPlace(target: string): Promise<string | undefined> {
  try {
    return await realpath(target);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    const parent = await realpath(dirname(target)).catch(() => undefined);
    return parent === undefined ? undefined : join(parent, basename(target));
  }
}

async function linkIn(farm: string, name: string, dir: string): Promise<string> {
  await symlink(resolve(dir), join(farm, name));
  return name;
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
