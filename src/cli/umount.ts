import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { findImage } from '../store/local-image.js';
import { type ImageMount, imageMounts, unmountImage } from '../store/mounts.js';
import type { Store } from '../store/store.js';
import { action, addGlobalFlags, examples } from './action.js';

interface Flags {
  readonly all?: boolean;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('umount').alias('unmount'))
    .description('Take a mounted rootfs away.')
    .argument('[what]', 'an image or the directory it is mounted at')
    .option('-a, --all', 'every mount of the store')
    .addHelpText(
      'after',
      examples(['slipway umount k8s:v1', 'wherever it is mounted'], ['slipway umount --all', 'all of them']),
    )
    .action(
      action<[string | undefined], Flags>(async (context, flags, what) => {
        const store = await context.store();
        if (what === undefined && !flags.all)
          throw new SlipwayError('E_USAGE', 'no image or directory given', {
            hint: 'slipway umount IMAGE, or slipway umount --all',
          });
        const mounts = await imageMounts(store);
        const chosen = flags.all || what === undefined ? mounts : await choose(store, mounts, what);
        for (const mount of chosen) {
          await unmountImage(store, mount);
          context.out.line(mount.target);
        }
      }),
    );
}

async function choose(store: Store, mounts: readonly ImageMount[], what: string): Promise<ImageMount[]> {
  const byPlace = mounts.filter(({ target }) => target === resolve(what));
  if (byPlace.length > 0) return byPlace;
  const byName = mounts.filter(({ name }) => name === what || name === `${what}:latest`);
  if (byName.length > 0) return byName;
  if (what.startsWith('/') || what.startsWith('.'))
    throw new SlipwayError('E_NOT_FOUND', `nothing of this store is mounted at ${what}`, {
      hint: 'see "slipway mount"',
    });
  const { descriptor, name } = await findImage(store, what);
  const byDigest = mounts.filter((mount) => mount.descriptor.digest === descriptor.digest);
  if (byDigest.length === 0)
    throw new SlipwayError('E_NOT_FOUND', `${name} is not mounted`, { hint: 'see "slipway mount"' });
  return byDigest;
}
