import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { deleteHosts, markLeaving } from '../install/delete-hosts.js';
import { assertOurs } from '../install/state/assert-ours.js';
import { addressesToDelete } from '../install/state/spec-from-state.js';
import { action, addGlobalFlags, examples } from './action.js';
import {
  addRemovalFlags,
  addSkipHooksFlag,
  confirmRemoval,
  drainTimeoutMs,
  type RemovalFlags,
  type SkipHooksFlag,
} from './removal-flags.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, RemovalFlags, SkipHooksFlag {
  readonly cluster?: string;
  readonly masters?: string;
  readonly nodes?: string;
  readonly forget?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('delete')
    .alias('scale-down')
    .description(
      'Take hosts out of a cluster that goes on without them: drained, out of etcd, deleted as nodes, and cleaned. Refuses what would cost etcd its quorum. Hosts may be down; they are cleaned later, by the same command.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--masters <ips>', 'masters that go: 10.0.0.3,10.0.0.4')
    .option('--nodes <ips>', 'workers that go, in the same form')
    .option('--forget', 'hosts that do not answer are gone for good: they are not kept in mind to be cleaned later');
  addSkipHooksFlag(addRemovalFlags(command, '-f, --force'));
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        ['slipway delete --nodes 10.0.0.7', 'drains the worker, takes it out, cleans it; asks first'],
        ['slipway delete --masters 10.0.0.4 --forget --force', 'a master that has burnt'],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const { chooseCluster } = await import('../install/state/known-clusters.js');
        const state = await chooseCluster(context.root, flags.cluster);
        const addresses = addressesToDelete(state, flags);
        const drainTimeout = drainTimeoutMs(flags);
        // What cannot be is said before anybody is asked for a yes.
        assertOurs(state);
        markLeaving(state, addresses);
        await confirmRemoval(state.name, addresses, flags);
        const { reporter, signal, out } = context;
        const result = await deleteHosts(
          {
            cluster: state.name,
            addresses,
            ssh: await sshFlags(flags),
            forget: flags.forget === true,
            drainTimeoutMs: drainTimeout,
            skipHooks: flags.skipHooks === true,
          },
          { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) },
        );
        const { removed, forgotten, left, failures } = result;
        if (context.json) {
          out.json({ ...result, failures: failures.map(({ code, message }) => ({ code, message })) });
        } else if (context.quiet) for (const address of removed) out.line(address);
        else {
          if (removed.length > 0) out.line(`Out of cluster ${state.name}, and clean: ${removed.join(', ')}.`);
          if (forgotten.length > 0) out.line(`Out of cluster ${state.name}, and forgotten: ${forgotten.join(', ')}.`);
        }
        const [failure] = failures;
        if (failure !== undefined) throw failure;
        if (left.length > 0) {
          throw new SlipwayError(
            'E_HOST_UNREACHABLE',
            `out of cluster ${state.name}, but not clean, for they do not answer: ${left.join(', ')}`,
            { hint: 'when they answer again, run the same command; --forget when they are gone for good' },
          );
        }
      }),
    );
}
