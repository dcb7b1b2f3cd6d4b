import type { Command } from 'commander';
import { parsePlatform } from '../image/platform.js';
import { readImage } from '../store/local-image.js';
import { imageMounts, mountImage } from '../store/mounts.js';
import { action, addGlobalFlags, examples } from './action.js';

interface Flags {
  readonly platform?: string;
}

export function define(program: Command): void {
  addGlobalFlags(program.command('mount'))
    .description(
      "Show an image's merged rootfs as a read-only directory, and print where. Without an image: list what is mounted.",
    )
    .argument('[image]', 'a name, or the beginning of an id')
    .argument('[directory]', 'an empty directory; default: one in the store')
    .option('--platform <platform>', 'which image of a multi-platform one')
    .addHelpText(
      'after',
      examples(
        ['slipway mount k8s:v1', 'prints the directory'],
        ['slipway mount k8s:v1 /mnt', 'at a place of your own'],
        ['slipway mount', 'what is mounted'],
      ),
    )
    .action(
      action<[string | undefined, string | undefined], Flags>(async (context, flags, name, target) => {
        const store = await context.store();
        if (name === undefined) {
          const mounts = await imageMounts(store);
          if (context.json)
            return context.out.json(mounts.map(({ name: image, target: directory }) => ({ image, directory })));
          if (mounts.length > 0 || !context.quiet)
            context.out.table([['IMAGE', 'DIRECTORY'], ...mounts.map((mount) => [mount.name, mount.target])]);
          return;
        }
        const image = await readImage(
          store,
          name,
          flags.platform === undefined ? undefined : parsePlatform(flags.platform),
        );
        const mount = await mountImage(store, image, target, context.reporter.debug);
        if (context.json) context.out.json({ image: mount.name, directory: mount.target });
        else context.out.line(mount.target);
      }),
    );
}
