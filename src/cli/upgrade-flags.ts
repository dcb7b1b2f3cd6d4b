import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { runCluster } from '../install/run-cluster.js';
import { envFromFlags } from '../install/spec/spec-from-flags.js';
import type { ClusterState } from '../install/state/cluster-state.js';
import { specFromState } from '../install/state/spec-from-state.js';
import { addGlobalFlags, repeatable } from './action.js';
import type { CliContext } from './context.js';
import { addPaceFlags, type PaceFlags, printPlan, runOptions } from './launch-flags.js';
import { addDrainFlag, drainTimeoutMs } from './removal-flags.js';
import { printResult } from './run-result.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

/** The flags of commands that take a cluster to another image. */
export interface UpgradeFlags extends HostFlags, PaceFlags {
  readonly cluster?: string;
  readonly env?: readonly string[];
  readonly batch?: string;
  readonly drainTimeout?: string;
  readonly dryRun?: boolean;
}

export function addBatchFlag(command: Command): Command {
  return command.option('--batch <n>', 'workers that are upgraded at once (default: 1)');
}

export function addUpgradeFlags(command: Command): Command {
  command.option('--cluster <name>', 'the cluster (default: the only one that is known here)');
  addDrainFlag(addBatchFlag(command))
    .option(
      '-e, --env <name=value>',
      'a secret variable of the cluster, which is not kept and is given again each time; may be given several times',
      repeatable,
    )
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them');
  return addGlobalFlags(addHostFlags(addPaceFlags(command)));
}

/** How many workers are upgraded at once. @throws SlipwayError E_USAGE */
export function batchOf({ batch = '1' }: Pick<UpgradeFlags, 'batch'>): number {
  if (!/^[1-9]\d{0,3}$/.test(batch)) throw new SlipwayError('E_USAGE', `--batch ${batch} is not a positive number`);
  return Number(batch);
}

/** Takes a cluster to the image that `choose` names, and prints what has become of it. */
export async function changeImage(
  context: CliContext,
  flags: UpgradeFlags,
  change: NonNullable<ClusterState['changing']>,
  choose: (state: ClusterState) => string,
): Promise<void> {
  const { chooseCluster } = await import('../install/state/known-clusters.js');
  const { reporter, signal } = context;
  const state = await chooseCluster(context.root, flags.cluster);
  const image = choose(state);
  const given = { ssh: await sshFlags(flags), env: envFromFlags(flags.env ?? []) };
  const spec = { ...specFromState(state, given), image };
  const options = {
    ...runOptions(flags),
    upgrade: { change, batch: batchOf(flags) },
    drainTimeoutMs: drainTimeoutMs(flags),
  };
  const deps = { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) };
  if (flags.dryRun) return printPlan(context, { spec, options, deps });
  printResult(context, await runCluster(spec, options, deps), spec.hosts.length);
}
