import { statfs } from 'node:fs/promises';
import { errnoOf } from '../base/errors.js';
import type { MountEntry } from '../layers/mount-table.js';
import { findMount } from './mount-namespace.js';
import type { ImageMount, MountKind } from './mount-records.js';
import { holdsCopy } from './show-image.js';

/** A mount as it is now. */
export interface PresentMount extends ImageMount {
  readonly visible: 'here' | 'elsewhere' | 'unfinished' | 'changing';
  /** Of a mount that can be seen elsewhere: a process that sees it. */
  readonly pid?: number | undefined;
}

/** How a mount is now; undefined when it is lost. */
export async function presentMount(mount: ImageMount): Promise<PresentMount | undefined> {
  if (mount.kind === 'copy') {
    if (!(await holdsCopy(mount))) return undefined;
    return { ...mount, visible: mount.whole ? 'here' : 'unfinished' };
  }
  const { where, ...rest } = await findMount((entry) => isIt(entry, mount), mount.seenIn);
  if (where === 'nowhere' || (where === 'here' && mount.kind === 'fuse' && (await isDead(mount.target))))
    return undefined;
  return { ...mount, visible: where, ...rest };
}

const FILE_SYSTEM: Readonly<Record<MountKind, RegExp>> = {
  overlay: /^overlay$/,
  fuse: /^fuse(?:\.fuse-overlayfs)?$/,
  copy: /^$/,
};

/** True for the line of a mount table that is this mount. */
export function isIt({ place, type, device }: MountEntry, mount: ImageMount): boolean {
  return place === mount.target && FILE_SYSTEM[mount.kind].test(type) && (mount.device ?? device) === device;
}

/** The program that should answer for a FUSE mount is gone. What stat(2) asks for, the kernel may know itself. */
async function isDead(target: string): Promise<boolean> {
  return statfs(target).then(
    () => false,
    (error: unknown) => errnoOf(error) === 'ENOTCONN',
  );
}
