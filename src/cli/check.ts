import type { Command } from 'commander';
import { counted } from '../base/format.js';
import { type CheckReport, checkCluster } from '../install/check/check-cluster.js';
import { chooseCluster } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags {
  readonly cluster?: string;
  readonly concurrency?: string;
  readonly deep?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('check')
    .description(
      'Ask whether a cluster and its hosts are as they should be: one line for everything that is not, with what to do. Changes nothing; needs neither image nor secrets. Exit code 1 when there is a problem; warnings alone are no reason.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option('--deep', 'look into every file that the hosts were given, not only at its size, time and mode')
    .option('--concurrency <n>', 'hosts asked at once (default: 10)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        ['slipway check', 'the only cluster that is known here'],
        ['slipway check --cluster edge --deep', 'and every file is verified by its digest'],
        ['slipway check --cluster edge --json', 'for a program'],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const { json, quiet, out, root, signal } = context;
        const state = await chooseCluster(root, flags.cluster);
        const report = await checkCluster(state, {
          ssh: await sshFlags(flags),
          connect: hostConnector(context, flags),
          concurrency: wholeNumber('--concurrency', flags.concurrency) ?? 10,
          signal,
          deep: flags.deep === true,
        });
        const { findings } = report;
        const problems = findings.filter(({ severity }) => severity === 'problem').length;
        if (json) out.json({ schema: 1, ok: problems === 0, ...report });
        else if (!quiet) {
          if (findings.length > 0) {
            out.table([
              ['SEVERITY', 'HOST', 'WHAT', 'WHY', 'DO'],
              ...findings.map(({ severity, host, what, why, fix }) => [severity, host ?? '-', what, why, fix]),
            ]);
            out.line();
          }
          out.line(summary(report, problems));
        }
        if (problems > 0) process.exitCode = 1;
      }),
    );
}

function summary({ cluster, answered, hosts, findings }: CheckReport, problems: number): string {
  const warnings = findings.length - problems;
  const verdict = problems === 0 ? 'is as it should be' : `has ${counted(problems, 'problem')}`;
  const more = warnings === 0 ? '' : `, ${counted(warnings, 'warning')}`;
  return `Cluster ${cluster} ${verdict}${more}; ${answered} of ${counted(hosts, 'host')} answered.`;
}
