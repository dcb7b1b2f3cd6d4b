import type { Command } from 'commander';
import { SlipwayError } from '../base/errors.js';
import { chooseHosts, type HostChoice } from '../install/cluster-hosts/choose-hosts.js';
import { withClusterHosts } from '../install/cluster-hosts/cluster-hosts.js';
import { commonCode, type ExecResult, execOnHosts } from '../install/exec-on-hosts.js';
import { chooseCluster } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import { wholeNumber } from './flag-values.js';
import { terminalSafe } from './output.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags, HostChoice {
  readonly cluster?: string;
  readonly concurrency?: string;
}

export function define(program: Command): void {
  const command = program
    .command('exec')
    .description(
      "Run a command as root on the hosts of a cluster, all at once. One word is a line for the shell; several are a program and its arguments. Lines of output have the address of their host in front. The exit code is the command's when all hosts agree, else 1.",
    )
    .argument('<command...>', 'what is run; put -- in front of it')
    .passThroughOptions()
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--masters', 'only on masters')
    .option('--nodes', 'only on hosts that are no masters')
    .option('--hosts <ips>', 'only on these hosts: 10.0.0.2,10.0.0.5-10.0.0.9')
    .option('--roles <names>', 'only on hosts with one of these roles')
    .option('--concurrency <n>', 'hosts worked on at once (default: 10)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        ['slipway exec -- systemctl is-active kubelet', 'on every host'],
        ["slipway exec --masters -- 'du -sh /var/lib/etcd | cut -f1'", 'one word: the shell of the host reads it'],
        ['slipway exec --hosts 10.0.0.3 --json -- cat /etc/os-release', 'for a program'],
      ),
    )
    .action(
      action<[readonly string[]], Flags>(async (context, flags, words) => {
        const { json, quiet, out, signal, root } = context;
        const state = await chooseCluster(root, flags.cluster);
        const { masters, nodes, hosts: list, roles } = flags;
        const chosen = chooseHosts(state, { masters, nodes, hosts: list, roles });
        const reach = { ssh: await sshFlags(flags), connect: hostConnector(context, flags) };
        const concurrency = wholeNumber('--concurrency', flags.concurrency) ?? 10;
        const results = await withClusterHosts({ ...state, hosts: [...chosen] }, reach, (hosts) =>
          execOnHosts(
            hosts.map(({ host }) => host),
            words,
            { concurrency, signal, ...(json ? {} : { onLine: printLine }) },
          ),
        );
        if (json) out.json({ schema: 1, cluster: state.name, hosts: results });
        else if (!quiet) printFailures(results);
        if (signal.aborted)
          throw new SlipwayError('E_INTERRUPTED', 'interrupted; the commands on the hosts were ended');
        process.exitCode = commonCode(results);
      }),
    );
}

/** What a host prints goes where the command's own output would; at a terminal without what would drive it. */
function printLine(line: string, name: 'stdout' | 'stderr'): void {
  const stream = process[name];
  stream.write(`${stream.isTTY ? terminalSafe(line) : line}\n`);
}

function printFailures(results: readonly ExecResult[]): void {
  for (const { host, error } of results) {
    if (error === null) continue;
    const text = error.startsWith(`host ${host}`) ? error : `host ${host}: ${error}`;
    process.stderr.write(`${terminalSafe(text)}\n`);
  }
  const codes = new Set(results.flatMap(({ code }) => (code === null ? [] : [code])));
  // The exit code can say only one of them.
  if (codes.size <= 1) return;
  for (const { host, code } of results)
    if (code !== null && code !== 0) process.stderr.write(`host ${host}: exit code ${code}\n`);
}
