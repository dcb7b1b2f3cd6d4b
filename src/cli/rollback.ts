import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { action, examples } from './action.js';
import { addUpgradeFlags, changeImage, type UpgradeFlags } from './upgrade-flags.js';

export function define(program: Command): void {
  const command = program
    .command('rollback')
    .description(
      'Take a cluster back to the image that it ran before its last upgrade, node by node as an upgrade does. Not to an older minor version: what a newer one has written the older one may not read.',
    );
  addUpgradeFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway rollback --dry-run', 'what would be done'],
        ['slipway rollback', 'goes back; one that was stopped goes on'],
      ),
    )
    .action(
      action<[], UpgradeFlags>(async (context, flags) =>
        changeImage(context, flags, 'rollback', ({ name, image, previous, changing }) => {
          // One that was stopped goes on.
          if (changing === 'rollback') return `${image.name}@${image.digest}`;
          if (previous === undefined) {
            throw new SlipwayError('E_CLUSTER_STATE', `cluster ${name} has never been upgraded`);
          }
          return `${previous.name}@${previous.digest}`;
        }),
      ),
    );
}
