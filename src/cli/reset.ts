import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { leftoverError, type ResetResult, resetCluster } from '../install/reset-cluster.js';
import { DEFAULTS } from '../install/spec/cluster-spec.js';
import { knownClusters } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import { askText } from './prompt.js';
import { addSkipHooksFlag, type SkipHooksFlag } from './removal-flags.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, SkipHooksFlag {
  readonly cluster?: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly forget?: boolean;
  readonly force?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('reset')
    .description(
      'Take a cluster away: everything that slipway put on its hosts. Works on one that was never finished, without the image, with hosts down, and again.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option(
      '--masters <ips>',
      'these hosts instead of all that are known: 10.0.0.2,10.0.0.3; of a cluster that goes on only what has left it',
    )
    .option('--nodes <ips>', 'the same for workers, in the same form')
    .option('--forget', 'hosts that do not answer are gone for good: they are not kept in mind to be reset later')
    .option('-f, --force', 'do not ask');
  addGlobalFlags(addHostFlags(addSkipHooksFlag(command)))
    .addHelpText(
      'after',
      examples(
        ['slipway reset', 'the only cluster that there is; asks first'],
        ['slipway reset --cluster edge --force', 'this one, without a question'],
        ['slipway reset --cluster edge --forget', 'some of its hosts have burnt'],
        [
          'slipway reset --cluster edge --masters 10.0.0.2 --nodes 10.0.0.3 -i ~/.ssh/id_ed25519',
          'from a machine that knows nothing of it',
        ],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const cluster = flags.cluster ?? (await onlyCluster(context.root));
        await confirm(flags, cluster, context.root);
        const result = await resetCluster(
          {
            cluster,
            ...(await sshFlags(flags)),
            masters: flags.masters,
            nodes: flags.nodes,
            again: 'the same command',
            skipHooks: flags.skipHooks === true,
            forget: flags.forget === true,
          },
          {
            store: await context.store(),
            reporter: context.reporter,
            signal: context.signal,
            connect: hostConnector(context, flags),
          },
        );
        if (context.json) context.out.json(result);
        else if (!context.quiet) context.out.line(summary(result));
        const leftover = leftoverError(result);
        if (leftover !== undefined) throw leftover;
      }),
    );
}

function summary({ cluster, clean, forgotten, left }: ResetResult): string {
  const asked = clean.length + left.length;
  const parts = [
    ...(asked > 0 || forgotten.length === 0 ? [`${clean.length} of ${asked} hosts are clean`] : []),
    ...(forgotten.length > 0 ? [`forgotten: ${forgotten.join(', ')}`] : []),
  ];
  return `Cluster ${cluster}: ${parts.join('; ')}.`;
}

/** Where none is known the name that "slipway run" would have given: hosts may have one that nobody here knows. */
async function onlyCluster(root: string): Promise<string> {
  const [only = DEFAULTS.clusterName, ...others] = (await knownClusters(root)).map(({ name }) => name);
  if (others.length === 0) return only;
  throw new SlipwayError('E_USAGE', `there are several clusters: ${[only, ...others].join(', ')}`, {
    hint: 'say which one with --cluster',
  });
}

async function confirm({ force, masters, nodes }: Flags, cluster: string, root: string): Promise<void> {
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
