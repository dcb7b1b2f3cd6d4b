import type { Command } from 'commander';
import { runCluster } from '../install/run-cluster.js';
import type { ClusterSpec } from '../install/spec/cluster-spec.js';
import { statePaths } from '../install/state/cluster-paths.js';
import { readClusterState } from '../install/state/cluster-state.js';
import { action, examples } from './action.js';
import { applyRequest } from './apply-request.js';
import { addLaunchFlags, type LaunchFlags, printPlan } from './launch-flags.js';
import { addRemovalFlags, confirmRemoval, type RemovalFlags } from './removal-flags.js';
import { printResult } from './run-result.js';
import { addBatchFlag } from './upgrade-flags.js';

interface Flags extends LaunchFlags, RemovalFlags {
  readonly batch?: string;
  readonly dryRun?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('apply')
    .description(
      'Make a cluster what a Clusterfile says: hosts that are new join, hosts that are not there any more are taken out and cleaned, another image is upgraded to, what was changed is changed. A cluster that does not exist is launched.',
    )
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them');
  addLaunchFlags(addBatchFlag(addRemovalFlags(command, '--force')))
    .addHelpText(
      'after',
      examples(
        ['slipway apply -f Clusterfile', 'the cluster becomes what the file says; asks before hosts are taken out'],
        ['slipway apply -f Clusterfile --dry-run', 'what would be done'],
      ),
    )
    .action(
      action<[string | undefined], Flags>(async (context, flags, image) => {
        const request = await applyRequest(context, flags, image);
        if (flags.dryRun) return printPlan(context, request);
        const { spec, options, deps } = request;
        await confirmRemoval(spec.name, await goneHosts(context.root, spec), flags);
        printResult(context, await runCluster(spec, options, deps), spec.hosts.length);
      }),
    );
}

/** Hosts of the cluster that are not wanted any more; those too that an earlier command could not clean. */
async function goneHosts(root: string, spec: ClusterSpec): Promise<readonly string[]> {
  const state = await readClusterState(statePaths(root, spec.name));
  return (state?.hosts ?? [])
    .filter(({ address }) => !spec.hosts.some((host) => host.address === address))
    .map(({ address }) => address);
}
