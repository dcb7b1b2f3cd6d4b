import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { type ClusterStatus, clusterStatus } from '../install/cluster-status.js';
import type { AppState } from '../install/state/app-state.js';
import { statePaths } from '../install/state/cluster-paths.js';
import type { ClusterState } from '../install/state/cluster-state.js';
import { chooseCluster, type KnownCluster, knownClusters } from '../install/state/known-clusters.js';
import { action, addGlobalFlags, examples } from './action.js';
import { ago } from './ago.js';
import type { CliContext } from './context.js';
import { wholeNumber } from './flag-values.js';
import { addHostFlags, type HostFlags, hostConnector, sshFlags } from './ssh-flags.js';

/** `sha256:` and twelve digits. */
const SHORT_DIGEST = 19;

interface Flags extends HostFlags {
  readonly cluster?: string;
  readonly concurrency?: string;
  readonly list?: boolean;
}

export function define(program: Command): void {
  const command = program
    .command('status')
    .description(
      'Show what is known of the clusters of this machine: of several all in a list, of one its hosts, each asked how it is, and its applications. Changes nothing; works with hosts down and without the image.',
    )
    .option('--cluster <name>', 'the cluster (default: the only one that is known here)')
    .addOption(
      new Option('--list', 'list all clusters that are known, also when it is only one, and ask no host').conflicts(
        'cluster',
      ),
    )
    .option('--concurrency <n>', 'hosts asked at once (default: 10)');
  addGlobalFlags(addHostFlags(command))
    .addHelpText(
      'after',
      examples(
        ['slipway status', 'all clusters; with only one, that one with its hosts'],
        ['slipway status --cluster edge', 'the hosts of a cluster: Ready, NotReady, unreachable, not joined, and why'],
        ['slipway status --cluster edge --json', 'for a program'],
      ),
    )
    .action(
      action<[], Flags>(async (context, flags) => {
        if (flags.list === true || flags.cluster === undefined) {
          const clusters = await knownClusters(context.root);
          if (flags.list === true || clusters.length !== 1) return printClusters(context, clusters);
        }
        const state = await chooseCluster(context.root, flags.cluster);
        const status = await clusterStatus(state, {
          ssh: await sshFlags(flags),
          connect: hostConnector(context, flags),
          concurrency: wholeNumber('--concurrency', flags.concurrency) ?? 10,
          signal: context.signal,
        });
        printStatus(context, state, status);
      }),
    );
}

function printClusters({ json, quiet, root, out }: CliContext, clusters: readonly KnownCluster[]): void {
  if (json) {
    out.json({ schema: 1, clusters: clusters.map((one) => clusterDocument(one, root)) });
    return;
  }
  if (quiet) {
    for (const { name } of clusters) out.line(name);
    return;
  }
  if (clusters.length === 0) {
    out.line(`No cluster is known in ${root}: "slipway run" launches one; those of another store are seen with --root`);
    return;
  }
  out.table([
    ['NAME', 'PHASE', 'IMAGE', 'VERSION', 'HOSTS', 'AGE'],
    ...clusters.map((one) => {
      if ('problem' in one) return [one.name, 'unreadable', '', '', '', ''];
      const { image, version, hosts, created } = one.state;
      return [one.name, phaseOf(one.state), image.name, version, String(hosts.length), age(created)];
    }),
  ]);
}

function printStatus({ json, quiet, root, out }: CliContext, state: ClusterState, status: ClusterStatus): void {
  const { name, image, version, created } = state;
  const { hosts, master, problem, strangers } = status;
  if (json) {
    out.json({ schema: 1, clusters: [{ ...clusterDocument({ name, state }, root), ...status }] });
    return;
  }
  if (quiet) {
    for (const { address } of hosts) out.line(address);
    return;
  }
  const kubeconfig = kubeconfigOf(root, name);
  for (const line of [
    `Cluster:     ${name} (${phaseOf(state)}), launched ${ago(created)}`,
    `Image:       ${image.name} (${image.digest})`,
    `Kubernetes:  ${version}`,
    `Kubeconfig:  ${kubeconfig ?? 'not fetched yet'}`,
    `Asked:       ${master ?? `nobody: ${problem}`}`,
  ])
    out.line(line);
  out.line();
  out.table([
    ['ADDRESS', 'ROLES', 'NODE', 'VERSION', 'STATUS', 'WHY'],
    ...hosts.map((host) => [
      host.address,
      host.roles.join(','),
      host.node ?? '',
      host.version ?? '',
      host.status,
      host.why ?? '',
    ]),
  ]);
  if (state.applications.length > 0) {
    out.line();
    out.table([
      ['APPLICATION', 'IMAGE', 'DIGEST', 'STARTED', 'PHASE', 'SINCE'],
      ...state.applications.map((app) => [
        app.name,
        app.image.name,
        app.image.digest.slice(0, SHORT_DIGEST),
        startedOf(app).join(','),
        app.phase,
        ago(app.since),
      ]),
    ]);
  }
  if (strangers.length > 0) {
    out.line();
    out.line(`Nodes that are on none of these hosts: ${strangers.join(', ')}`);
  }
}

/** Names of the applications that an image has started. */
function startedOf({ launched }: AppState): readonly string[] {
  return launched.flatMap(({ application }) => application ?? []);
}

/** `running`, and whether it is half way to its image. */
function phaseOf({ phase, changing }: ClusterState): string {
  return changing === undefined ? phase : `${phase}, ${changing} not finished`;
}

/** What is known of a cluster without asking anybody; what is only found out by asking is null. */
function clusterDocument(cluster: KnownCluster, root: string): object {
  const kubeconfig = kubeconfigOf(root, cluster.name);
  if ('problem' in cluster) return { name: cluster.name, phase: 'unreadable', problem: cluster.problem.message };
  const { phase, changing, image, runtime, version, created, updated, hosts, applications } = cluster.state;
  return {
    name: cluster.name,
    phase,
    changing: changing ?? null,
    image,
    runtime,
    version,
    created,
    updated,
    kubeconfig,
    master: null,
    problem: null,
    hosts: hosts.map(({ address, roles }) => ({ address, roles, node: null, version: null, status: null, why: null })),
    strangers: null,
    applications: applications.map((app) => ({
      name: app.name,
      image: app.image,
      phase: app.phase,
      started: startedOf(app),
      since: app.since,
      updated: app.updated,
    })),
  };
}

function kubeconfigOf(root: string, name: string): string | null {
  const { kubeconfig } = statePaths(root, name);
  return existsSync(kubeconfig) ? kubeconfig : null;
}

function age(created: string): string {
  return ago(created).replace(/ ago$/, '');
}
