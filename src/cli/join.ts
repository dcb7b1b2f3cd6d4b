import type { Command } from 'commander';
import { runCluster } from '../install/run-cluster.js';
import { envFromFlags } from '../install/spec/spec-from-flags.js';
import { joinSpec } from '../install/state/spec-from-state.js';
import { action, addGlobalFlags, examples, repeatable } from './action.js';
import { addPaceFlags, type PaceFlags, printPlan, runOptions } from './launch-flags.js';
import { printResult } from './run-result.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, PaceFlags {
  readonly cluster?: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly env?: readonly string[];
  readonly dryRun?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('join')
    .alias('scale-up')
    .description(
      'Add hosts to a cluster, from the image that it runs. The other hosts are looked at too, and mended where they are not as they should be.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--masters <ips>', 'hosts that become masters: 10.0.0.3,10.0.0.4')
    .option('--nodes <ips>', 'hosts that become workers, in the same form')
    .option(
      '-e, --env <name=value>',
      'a secret variable of the cluster, which is not kept and is given again each time; may be given several times',
      repeatable,
    )
    .option('--dry-run', 'look at the hosts and print what would be done, and why; change nothing on them');
  addGlobalFlags(addHostFlags(addPaceFlags(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway join --nodes 10.0.0.7', 'one more worker; reached as the other hosts are'],
        ['slipway join --masters 10.0.0.3,10.0.0.4 -i ~/.ssh/id_ed25519', 'three masters instead of one'],
        ['slipway join --nodes 10.0.0.7 --dry-run', 'what would be done'],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const { chooseCluster } = await import('../install/state/known-clusters.js');
        const { reporter, signal } = context;
        const state = await chooseCluster(context.root, flags.cluster);
        const spec = joinSpec(state, {
          ssh: await sshFlags(flags),
          env: envFromFlags(flags.env ?? []),
          masters: flags.masters,
          nodes: flags.nodes,
        });
        const options = runOptions(flags);
        const deps = { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) };
        if (flags.dryRun) return printPlan(context, { spec, options, deps });
        printResult(context, await runCluster(spec, options, deps), spec.hosts.length);
      }),
    );
}
