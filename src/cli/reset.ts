import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { leftoverError, resetCluster } from '../install/reset-cluster.js';
import { DEFAULTS } from '../install/spec/cluster-spec.js';
import { action, addGlobalFlags, examples } from './action.js';
import { askText } from './prompt.js';
import { addSkipHooksFlag, type SkipHooksFlag } from './removal-flags.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, SkipHooksFlag {
  readonly cluster: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly force?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('reset')
    .description(
      'Take a cluster away: everything that slipway put on its hosts. Works on one that was never finished, without the image, with hosts down, and again.',
    )
    .option('--cluster <name>', 'the name of the cluster', DEFAULTS.clusterName)
    .option('--masters <ips>', 'only these hosts, instead of all that are known')
    .option('--nodes <ips>', 'only these hosts, instead of all that are known')
    .option('-f, --force', 'do not ask');
  addGlobalFlags(addHostFlags(addSkipHooksFlag(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway reset', 'the cluster that "slipway run" made; asks first'],
        ['slipway reset --cluster edge --force', 'another cluster, without a question'],
        [
          'slipway reset --cluster edge --masters 10.0.0.2 --nodes 10.0.0.3 -i ~/.ssh/id_ed25519',
          'from a machine that knows nothing of it',
        ],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        await confirm(flags, context.root);
        const result = await resetCluster(
          {
            cluster: flags.cluster,
            ...(await sshFlags(flags)),
            masters: flags.masters,
            nodes: flags.nodes,
            again: 'the same command',
            skipHooks: flags.skipHooks === true,
          },
          {
            store: await context.store(),
            reporter: context.reporter,
            signal: context.signal,
            connect: hostConnector(context, flags),
          },
        );
        if (context.json) context.out.json(result);
        else if (!context.quiet)
          context.out.line(
            `Cluster ${result.cluster}: ${result.clean.length} of ${result.clean.length + result.left.length} hosts are clean.`,
          );
        const leftover = leftoverError(result);
        if (leftover !== undefined) throw leftover;
      }),
    );
}

async function confirm({ force, cluster, masters, nodes }: Flags, root: string): Promise<void> {
  if (force) return;
  const known = existsSync(join(root, 'data', cluster, 'cluster.json'));
  // Without a cluster there is nothing to ask about; the engine says what to do.
  if (!known && masters === undefined && nodes === undefined) return;
  if (!process.stdin.isTTY)
    throw new SlipwayError(
      'E_USAGE',
      `reset takes cluster ${cluster} away for good, and there is no terminal to ask at`,
      { hint: 'add --force' },
    );
  const answer = await askText(
    `This takes cluster ${cluster} away from its hosts, with everything in it. Type its name to go on: `,
  );
  if (answer.trim() !== cluster)
    throw new SlipwayError('E_USAGE', `that is not the name ${cluster}: nothing was changed`);
}
