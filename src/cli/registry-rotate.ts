import type { Command } from 'commander';
import { counted } from '../base/format.js';
import { rotateRegistry } from '../install/rotate-registry.js';
import { chooseCluster } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags {
  readonly cluster?: string;
  readonly concurrency?: string;
}

/** `registry rotate`. */
export function defineRotate(registry: Command): void {
  const command = registry
    .command('rotate')
    .description(
      'Give the registry of a cluster that is up a new authority and certificate. Pulls go on meanwhile: all hosts trust both before the registry gets it. Its user and password are changed in the Clusterfile, and by apply.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText('after', examples(['slipway registry rotate --cluster plant-7', 'new CA and certificate']))
    .action(
      action<[], Flags>(async (context, flags) => {
        const { json, quiet, out, root, reporter, signal } = context;
        const { name } = await chooseCluster(root, flags.cluster);
        const concurrency = wholeNumber('--concurrency', flags.concurrency);
        const { servers, hosts, left, failures } = await rotateRegistry(
          { cluster: name, ssh: await sshFlags(flags), concurrency, again: 'the same command' },
          { store: await context.store(), reporter, signal, connect: hostConnector(context, flags) },
        );
        if (json) out.json({ schema: 1, cluster: name, servers, hosts, left });
        else if (!quiet) {
          out.line(
            `the registry of cluster ${name} has a new certificate on ${servers.join(', ')}; ${counted(hosts.length, 'host')} ${hosts.length === 1 ? 'trusts' : 'trust'} it`,
          );
          if (left.length > 0) out.line(`not yet: ${left.join(', ')}; "slipway apply" does it when they answer`);
        }
        const [first] = failures;
        if (first !== undefined) throw first;
        if (left.length > 0) process.exitCode = 1;
      }),
    );
}
