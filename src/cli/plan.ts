import type { Command } from 'commander';
import { action, examples } from './action.js';
import { applyRequest } from './apply-request.js';
import { addLaunchFlags, type LaunchFlags, launchRequest, printPlan } from './launch-flags.js';

export function define(program: Command): void {
  const command = program
    .command('plan')
    .description(
      'Look at the hosts and print what would be done on each, and why; change nothing on them. With a Clusterfile: what "apply" would do; with flags: what "run" would. Exit code 1 when there are problems that it would refuse to begin with.',
    );
  addLaunchFlags(command)
    .addHelpText(
      'after',
      examples(
        ['slipway plan -f Clusterfile', 'what "slipway apply -f Clusterfile" would do'],
        ['slipway plan k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3 --json', 'for a program'],
      ),
    )
    .action(
      action<[string | undefined], LaunchFlags>(async (context, flags, image) =>
        printPlan(context, await (flags.file === undefined ? launchRequest : applyRequest)(context, flags, image)),
      ),
    );
}
