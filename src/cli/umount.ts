import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isSlipwayError, SlipwayError } from '../base/errors.js';
import { sameName } from '../image/reference.js';
import { findImage, nearName } from '../store/local-image.js';
import type { PresentMount } from '../store/mount-presence.js';
import { imageMounts, unmountImage } from '../store/mounts.js';
import type { Store } from '../store/store.js';
import { action, addGlobalFlags, examples } from './action.js';

interface Flags {
  readonly all?: boolean;
  readonly lazy?: boolean;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('umount').alias('unmount'))
    .description('Take a mounted rootfs away, and all that was changed in a copy.')
    .argument('[what]', 'an image or the directory it is mounted at')
    .option('-a, --all', 'every mount of the store')
    .option('-l, --lazy', 'although it is in use: what uses it keeps it until it ends')
    .addHelpText(
      'after',
      examples(
        ['slipway umount k8s:v1', 'all places where this user has mounted it'],
        ['slipway umount /mnt', 'what is mounted there'],
        ['slipway umount --all', 'all of them'],
      ),
    )
    .action(
      action<[string | undefined], Flags>(async (context, { all, lazy }, what) => {
        const store = await context.store();
        if (what === undefined && !all)
          throw new SlipwayError('E_USAGE', 'no image or directory given', {
            hint: 'slipway umount IMAGE, or slipway umount --all',
          });
        const mounts = await imageMounts(store);
        const chosen = all || what === undefined ? mounts : await choose(store, mounts, what);
        const gone: PresentMount[] = [];
        const failures: unknown[] = [];
        for (const mount of chosen) {
          try {
            await unmountImage(store, mount, { lazy: lazy === true, signal: context.signal });
            gone.push(mount);
            if (!context.json) context.out.line(mount.target);
          } catch (error) {
            if (!isSlipwayError(error, 'E_MOUNT', 'E_PERMISSION')) throw error;
            failures.push(error);
            if (failures.length > 1) context.reporter.warn(error.message);
          }
        }
        if (context.json)
          context.out.json(gone.map(({ name: image, target: directory, kind }) => ({ image, directory, kind })));
        if (failures.length > 0) throw failures[0];
      }),
    );
}

async function choose(store: Store, mounts: readonly PresentMount[], what: string): Promise<PresentMount[]> {
  const places = [resolve(what), await realpath(what).catch(() => undefined)];
  const byPlace = mounts.filter(({ target }) => places.includes(target));
  if (byPlace.length > 0) return byPlace;
  const byName = mounts.filter(({ name }) => sameName(name, what));
  if (byName.length > 0) return byName;
  const near = nearName(what, [...mounts.map(({ name }) => name), ...mounts.map(({ target }) => target)]);
  const hint = near === undefined ? 'see "slipway mount"' : `did you mean ${near}?`;
  if (what.startsWith('/') || what.startsWith('.'))
    throw new SlipwayError('E_NOT_FOUND', `nothing of this store is mounted at ${what}`, { hint });
  const image = await findImage(store, what).catch((error: unknown) => {
    if (!isSlipwayError(error, 'E_NOT_FOUND')) throw error;
    throw new SlipwayError('E_NOT_FOUND', `nothing called ${what} is mounted, or in the store`, { hint, cause: error });
  });
  const byDigest = mounts.filter((mount) => mount.descriptor.digest === image.descriptor.digest);
  if (byDigest.length === 0) throw new SlipwayError('E_NOT_FOUND', `${image.name} is not mounted`, { hint });
  return byDigest;
}
