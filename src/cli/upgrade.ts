import type { Command } from 'commander';
import { action, examples } from './action.js';
import { pullIfMissing } from './launch-flags.js';
import { addUpgradeFlags, changeImage, type UpgradeFlags } from './upgrade-flags.js';

export function define(program: Command): void {
  const command = program
    .command('upgrade')
    .description(
      'Take a cluster to another image: a newer Kubernetes, or the same one rebuilt. Masters one by one, then workers, each drained, and Ready before the next; stops at the first failure, and goes on when it is run again.',
    )
    .argument('<image>', 'a name, or the beginning of an id');
  addUpgradeFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway upgrade k8s:v1.21.4 --dry-run', 'what would be done'],
        ['slipway upgrade k8s:v1.21.4', 'the only cluster of this machine'],
        ['slipway upgrade k8s:v1.21.4 --cluster edge --batch 3', 'three workers at once'],
      ),
    )
    .action(
      action<[string], UpgradeFlags>(async (context, flags, image) => {
        await pullIfMissing(context, image, undefined);
        await changeImage(context, flags, 'upgrade', () => image);
      }),
    );
}
