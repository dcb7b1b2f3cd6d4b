import type { Command } from 'commander';
import { action, examples } from './action.js';
import { addLaunchFlags, type LaunchFlags, launchRequest, printPlan } from './launch-flags.js';

export function define(program: Command): void {
  const command = program
    .command('plan')
    .description(
      'Look at the hosts and print what "run" would do on each, and why; change nothing on them. Exit code 1 when there are problems that it would refuse to begin with.',
    );
  addLaunchFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway plan -f Clusterfile', 'what "slipway run -f Clusterfile" would do'],
        ['slipway plan k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3 --json', 'for a program'],
      ),
    )
    .action(
      action<[string | undefined], LaunchFlags>(async (context, flags, image) =>
        printPlan(context, await launchRequest(context, flags, image)),
      ),
    );
}
