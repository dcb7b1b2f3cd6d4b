import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { processesUsing } from '../base/processes-using.js';
import { mountTable } from '../layers/mount-table.js';
import { unmountTopmost } from '../layers/overlay.js';
import { isIt, type PresentMount } from './mount-presence.js';

/**
 * Unmounts what can be seen here or elsewhere, and nothing that somebody has mounted on top of it.
 * @param lazy although it is in use, or no process that sees it can be found.
 * @throws SlipwayError E_MOUNT, naming who uses it.
 */
export async function takeAway(mount: PresentMount, lazy: boolean): Promise<void> {
  if (mount.visible === 'elsewhere') takeAwayElsewhere(mount, lazy);
  else if (mount.visible === 'here' && mount.kind !== 'copy') await takeAwayHere(mount, lazy);
}

async function takeAwayHere(mount: PresentMount, lazy: boolean): Promise<void> {
  const { target } = mount;
  const top = (await mountTable()).findLast(({ place }) => place === target);
  if (top === undefined) return;
  if (!isIt(top, mount))
    throw new SlipwayError('E_MOUNT', `something else is mounted on top of ${mount.name} at ${target}`, {
      hint: `take that away first: umount ${target}`,
    });
  await unlessInUse(target, () => unmountTopmost(target, { lazy }));
}

/** In another mount namespace umount(8) would be the program that is found there, which is anybody's, with all our rights. */
function takeAwayElsewhere(mount: PresentMount, lazy: boolean): void {
  if (mount.pid !== undefined || !lazy) throw takenElsewhere(mount);
}

/** Names those who use what should be unmounted. */
async function unlessInUse(target: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isSlipwayError(error) && error.details?.busy === true) throw await inUse(target, error);
    throw error;
  }
}

async function inUse(target: string, cause: SlipwayError): Promise<SlipwayError> {
  const users = await processesUsing(target);
  const who = users.length === 0 ? 'a process' : users.map(({ pid, name }) => `${name} (${pid})`).join(', ');
  return new SlipwayError('E_MOUNT', `${target} is in use by ${who}`, {
    hint: `let it end or go elsewhere (fuser -vm ${target} shows all), or detach the mount at once: slipway umount --lazy ${target}`,
    cause,
    details: { busy: true, processes: users },
  });
}

/** That a mount is in a mount namespace that this process is not in. */
export function takenElsewhere({ name, target, pid }: PresentMount): SlipwayError {
  const whose = pid === undefined ? 'another mount namespace' : `the mount namespace of process ${pid}`;
  return new SlipwayError('E_MOUNT', `${name} is mounted at ${target} in ${whose}`, {
    hint:
      pid === undefined
        ? `take it away there; or forget it: slipway umount --lazy ${target}`
        : 'take it away there; it goes with the last process of that namespace',
  });
}
