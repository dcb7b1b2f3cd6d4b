import { constants } from 'node:fs';
import { access, mkdtemp, rm, symlink } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { mountProgram } from './mount-program.js';

export interface FuseMount {
  /** Directories of the layers, lowest first. */
  readonly lower: readonly string[];
  /** An existing, empty directory. */
  readonly target: string;
  /** Where the links to the layers may be while the mount is made. */
  readonly scratch: string;
  /** See {@link OverlayMount.hold}. */
  readonly hold?: number;
}

const DEVICE = '/dev/fuse';

/**
 * Shows directories merged at `target`, read-only, by the program fuse-overlayfs, which goes on running until it is unmounted. An ordinary user may do
 * that, and sees it outside of any namespace. There is no limit on the number of layers. Programs in it get no rights from their setuid bits, and
 * devices are none.
 *
 * @throws SlipwayError E_MOUNT, E_PERMISSION, E_MISSING_PROGRAM.
 */
export async function mountFuseOverlay({ lower, target, scratch, hold }: FuseMount): Promise<void> {
  const place = resolve(target);
  const farm = await mkdtemp(join(scratch, 'slipway-fuse-'));
  try {
    // A colon or a comma in a path would end it. The topmost comes first.
    const names = [...lower].reverse().map((_, index) => index.toString(36));
    for (const [index, dir] of [...lower].reverse().entries())
      await symlink(resolve(dir), join(farm, names[index] ?? ''));
    const args = ['-o', `ro,nosuid,nodev,lowerdir=${names.join(':')}`, place];
    await mountProgram('fuse-overlayfs', args, { cwd: farm, what: `mounting layers at ${place}`, hold });
  } finally {
    await rm(farm, { recursive: true, force: true });
  }
}

/** What keeps this user from {@link mountFuseOverlay}, as far as that can be known without trying; undefined when nothing does. */
export async function fuseObstacle(): Promise<string | undefined> {
  if (!(await onPath('fuse-overlayfs'))) return 'fuse-overlayfs is not installed';
  if (process.getuid?.() !== 0 && !(await onPath('fusermount3'))) return 'fusermount3 is not installed';
  const usable = await access(DEVICE, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return usable ? undefined : `${DEVICE} cannot be used`;
}

async function onPath(program: string): Promise<boolean> {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const found = await access(join(dir, program), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}
