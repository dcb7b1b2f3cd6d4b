import type { Command } from 'commander';
import { runCluster } from '../install/run-cluster.js';
import { action, examples } from './action.js';
import { addLaunchFlags, type LaunchFlags, launchRequest, printPlan } from './launch-flags.js';
import { printResult } from './run-result.js';

interface Flags extends LaunchFlags {
  readonly dryRun?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('run')
    .description(
      'Launch a cluster from an image of the store, on bare hosts over SSH. Run again after a failure, it goes on; on a finished cluster it finds everything done.',
    )
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them');
  addLaunchFlags(command)
    .addHelpText(
      'after',
      examples(
        [
          'slipway run k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3,10.0.0.4 -i ~/.ssh/id_ed25519',
          'one master and two workers, as root with a key',
        ],
        ['slipway run -f Clusterfile', 'all that is wanted is written in a file'],
        ['slipway run k8s:v1 --masters 10.0.0.2 -u admin -p', 'asks for the password; admin uses sudo'],
        ['slipway run k8s:v1 --masters 10.0.0.2 --nodes 10.0.0.3 --dry-run', 'what would be done'],
      ),
    )
    .action(
      action<[string | undefined], Flags>(async (context, flags, image) => {
        const request = await launchRequest(context, flags, image);
        if (flags.dryRun) return printPlan(context, request);
        const { spec, options, deps } = request;
        const result = await runCluster(spec, options, deps);
        printResult(context, result, spec.hosts.length);
      }),
    );
}
