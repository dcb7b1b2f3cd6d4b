import type { Command } from 'commander';
import { messageOf, SlipwayError } from '../base/errors.js';
import { readAltNames } from '../install/certificates/alt-names.js';
import { changeCertificates, planCertificates } from '../install/certificates/change-certificates.js';
import { type HostCertificates, listClusterCertificates } from '../install/certificates/list-certificates.js';
import { chooseCluster } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

interface Flags extends HostFlags {
  readonly cluster?: string;
  readonly altNames?: string;
  readonly renew?: boolean;
  readonly dryRun?: boolean;
  readonly concurrency?: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export function define(program: Command): void {
  const command = program
    .command('cert')
    .description(
      'Show the certificates of a cluster and when they end; add names to those of its API servers; or renew them. Masters are worked on one after the other, each only when the one before is well. Needs no image. --renew works also when they have ended and the cluster refuses everything.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .option(
      '--alt-names <names>',
      'host names and addresses that the API servers are to be known by as well: api.example.com,203.0.113.7',
    )
    .option('--renew', 'renew all certificates and kubeconfigs of the masters, and restart what uses them')
    .option('--dry-run', 'look at the masters and print what would be done, and why; change nothing on them')
    .option('--concurrency <n>', 'hosts asked at once (default: 10)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        ['slipway cert', 'what there is, and how many days are left'],
        ['slipway cert --alt-names api.example.com,203.0.113.7', 'clients may reach the API by these as well'],
        ['slipway cert --renew', 'once a year, or when "slipway check" says that they end soon'],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        const { root, reporter, signal } = context;
        const names = flags.altNames === undefined ? undefined : readAltNames(flags.altNames);
        if (names !== undefined && flags.renew)
          throw new SlipwayError('E_USAGE', '--alt-names and --renew are two things: give one after the other');
        if (flags.dryRun && names === undefined && !flags.renew)
          throw new SlipwayError('E_USAGE', '--dry-run goes with --alt-names or --renew');
        const state = await chooseCluster(root, flags.cluster);
        const concurrency = wholeNumber('--concurrency', flags.concurrency) ?? 10;
        const ssh = await sshFlags(flags);
        const connect = hostConnector(context, flags);
        if (names === undefined && !flags.renew) {
          const found = await listClusterCertificates(state, { ssh, connect, concurrency, signal });
          return printCertificates(context, state, found);
        }
        const change = names === undefined ? { renew: true as const } : { addNames: names };
        const options = { cluster: state.name, change, ssh, concurrency };
        const deps = { store: await context.store(), reporter, signal, connect };
        if (flags.dryRun) {
          const { document, text } = await planCertificates(options, deps);
          if (context.json) context.out.json(document);
          else context.out.line(text.trimEnd());
          if (document.problems.length > 0) process.exitCode = 1;
          return;
        }
        await changeAndPrint(context, options, deps);
      }),
    );
}

async function changeAndPrint(
  { json, quiet, out }: CliContext,
  options: Parameters<typeof changeCertificates>[0],
  deps: Parameters<typeof changeCertificates>[1],
): Promise<void> {
  const result = await changeCertificates(options, deps);
  const { cluster, masters, left, failures, ran, names, kubeconfig } = result;
  const renewed = 'renew' in options.change;
  if (json) {
    out.json({ schema: 1, ...result, failures: failures.map(({ code, message }) => ({ code, message })) });
  } else if (quiet) for (const master of masters) out.line(master);
  else if (renewed) {
    out.line(`Cluster ${cluster}: the certificates of ${masters.join(', ')} are renewed, and in use.`);
    out.line(`The new kubeconfig is ${kubeconfig}. Certificates of kubelets are renewed by these themselves.`);
  } else {
    out.line(
      ran === 0
        ? `Cluster ${cluster}: nothing to do, its API servers are known by these names already.`
        : `Cluster ${cluster}: its API servers (${masters.join(', ')}) are known by these names as well.`,
    );
    out.line(`Names that were added: ${names.join(', ')}`);
  }
  const [failure] = failures;
  if (failure !== undefined) throw failure;
  if (left.length > 0) {
    throw new SlipwayError('E_HOST_UNREACHABLE', `not looked at, for they do not answer: ${left.join(', ')}`, {
      hint: 'when they answer again run the same command; one that is gone for good is taken out with "slipway delete"',
    });
  }
}

function printCertificates(
  { json, quiet, out }: CliContext,
  { name: cluster, runtime }: { readonly name: string; readonly runtime: string },
  hosts: readonly HostCertificates[],
): void {
  const now = Date.now();
  const days = (expires: string | undefined): number | null =>
    expires === undefined ? null : Math.floor((Date.parse(expires) - now) / DAY_MS);
  const failed = hosts.filter(({ failure }) => failure !== undefined);
  if (json) {
    out.json({
      schema: 1,
      cluster,
      hosts: hosts.map(({ host, certificates, failure }) => ({
        host,
        error: failure === undefined ? null : messageOf(failure),
        certificates: certificates.map(({ name, file, expires, names, renewed }) => ({
          name,
          file,
          expires: expires ?? null,
          daysLeft: days(expires),
          names,
          renewed,
        })),
      })),
    });
  } else if (quiet) {
    const files = hosts.flatMap(({ host, certificates }) => certificates.map(({ file }) => `${host} ${file}`));
    for (const line of files) out.line(line);
  } else {
    out.table([
      ['HOST', 'CERTIFICATE', 'EXPIRES', 'DAYS LEFT', 'RENEWED BY'],
      ...hosts.flatMap(({ host, certificates }) =>
        certificates.map(({ name, expires, renewed }) => [
          host,
          name,
          expires === undefined ? 'cannot be read' : `${expires.slice(0, 16).replace('T', ' ')} UTC`,
          leftOf(days(expires)),
          {
            command: 'slipway cert --renew',
            self: runtime === 'k3s' ? 'k3s, when it starts' : 'kubelet',
            never: 'nobody: a CA',
          }[renewed],
        ]),
      ),
    ]);
    for (const { host, failure } of failed)
      out.line(`${host} does not answer: ${messageOf(failure).split('\n', 1)[0]}`);
  }
  if (failed.length > 0) process.exitCode = 1;
}

function leftOf(days: number | null): string {
  if (days === null) return '';
  return days < 0 ? 'ended' : String(days);
}
