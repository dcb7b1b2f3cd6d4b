import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import { collect } from '../store/collect.js';
import { action, addGlobalFlags, examples } from './action.js';

export function define(program: Command): void {
  addGlobalFlags(program.command('prune'))
    .description('Remove the build cache and everything else that no image, mount or running command needs.')
    .addHelpText('after', examples(['slipway prune', 'free what can be freed']))
    .action(
      action(async (context) => {
        const collected = await collect(await context.store(), { buildCache: true, waitSeconds: 10 });
        if (collected === undefined)
          throw new SlipwayError('E_LOCKED', 'another process uses the store', {
            hint: 'wait until it has finished, then try again',
          });
        if (context.json) context.out.json(collected);
        else
          context.out.line(
            `Freed: ${formatBytes(collected.bytes)} (${collected.blobs} blobs, ${collected.layers} unpacked layers, ${collected.caches} cache mounts)`,
          );
      }),
    );
}
