import { randomUUID } from 'node:crypto';
import { messageOf, SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';
import { tryOnHosts } from '../hosts/host-group.js';
import type { RemoveOptions } from '../runtime/driver.js';
import { withLock } from '../store/locks.js';
import { driverOf } from './cluster-hosts/ask-cluster.js';
import { type HostSet, openHosts, sshConnect } from './cluster-hosts/connect-hosts.js';
import { findTraces } from './cluster-hosts/host-owner.js';
import { lockCluster } from './cluster-hosts/lock-hosts.js';
import { type KubeconfigWork, kubeconfigPhase } from './phases/kubeconfig.js';
import { execute, failureError } from './plan/execute.js';
import { makePlan } from './plan/plan.js';
import { contextOfState, isSilence, type LeavingHost, makeRemoval, partition, type Removal } from './removal.js';
import { DELETE_PHASES } from './run-phases.js';
import { isMaster } from './spec/cluster-spec.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import { assertOurs } from './state/assert-ours.js';
import { hostPaths, type StatePaths, statePaths } from './state/cluster-paths.js';
import {
  type ClusterState,
  type HostState,
  readClusterState,
  registryServers,
  servedBy,
  writeClusterState,
} from './state/cluster-state.js';
import { Journal } from './state/journal.js';
import { keepOnMasters } from './state/kept-on-masters.js';
import { hostFromState } from './state/spec-from-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from './survey.js';

export interface DeleteOptions extends RemoveOptions {
  readonly cluster: string;
  /** Hosts of the cluster, or hosts that left it and are not clean yet. */
  readonly addresses: readonly string[];
  readonly ssh: SshFlags;
  /** Hosts that do not answer are forgotten: they are gone for good. */
  readonly forget: boolean;
  readonly concurrency?: number;
  readonly again?: string;
  /** Plugins do nothing. */
  readonly skipHooks?: boolean;
}

/** What became of the hosts. */
export interface DeleteResult {
  readonly cluster: string;
  /** Out of the cluster, and clean. */
  readonly removed: readonly string[];
  /** Out of the cluster, and forgotten. */
  readonly forgotten: readonly string[];
  /** Not clean, or not even out; the failures say why. */
  readonly left: readonly string[];
  readonly failures: readonly SlipwayError[];
}

/**
 * Takes hosts out of a cluster that goes on without them: drained, out of etcd, deleted as nodes, and everything that Slipway put on
 * them removed. Needs neither the image nor secrets; the hosts themselves may be down. Asks nothing.
 * @throws SlipwayError E_NOT_FOUND, E_USAGE for hosts that are not in it, E_LOCKED, E_CLUSTER_STATE when the cluster could not go on.
 */
export async function deleteHosts(options: DeleteOptions, deps: InstallDeps): Promise<DeleteResult> {
  const paths = statePaths(deps.store.root, options.cluster);
  return withLock(
    paths.lock,
    'exclusive',
    `cluster ${options.cluster}`,
    async () => {
      const state = await readClusterState(paths);
      if (state === undefined) throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${options.cluster}`);
      assertOurs(state);
      const wanted = markLeaving(state, options.addresses);
      const hosts = await openHosts(
        wanted.hosts.map((host) => hostFromState(host, options.ssh)),
        paths.logs,
        deps.connect ?? sshConnect(),
      );
      try {
        return await removeFrom(wanted, hosts, paths, options, deps);
      } finally {
        for (const problem of await hosts.close()) deps.reporter.warn(`the log is not complete: ${problem}`);
      }
    },
    { waitSeconds: 0 },
  );
}

/**
 * The state of a cluster from which these hosts leave. Pure.
 * @throws SlipwayError E_USAGE for hosts that are not in it; E_CLUSTER_STATE when it would have no master, or no registry.
 */
export function markLeaving(state: ClusterState, addresses: readonly string[]): ClusterState {
  const { name, registry } = state;
  const unknown = addresses.filter((address) => !state.hosts.some((host) => host.address === address));
  if (unknown.length > 0) {
    throw new SlipwayError('E_USAGE', `${unknown.join(', ')}: no host of cluster ${name}`, {
      hint: `"slipway status --cluster ${name}" lists its hosts`,
    });
  }
  const hosts = state.hosts.map((host) => (addresses.includes(host.address) ? { ...host, leaving: true } : host));
  if (!hosts.some((host) => isMaster(host) && host.leaving !== true)) {
    throw new SlipwayError('E_CLUSTER_STATE', `no master of cluster ${name} would be left`, {
      hint: `to take the whole cluster away: slipway reset --cluster ${name}`,
    });
  }
  const servers = registryServers(state);
  const left = servers.filter((address) => !addresses.includes(address));
  if (servers.length > 0 && left.length === 0) {
    throw new SlipwayError('E_CLUSTER_STATE', `${servers.join(', ')} serves the registry of cluster ${name}`, {
      hint: 'take it out of the Clusterfile and run "slipway apply -f Clusterfile", which lets another master serve it first; with "ha: true" every master does',
    });
  }
  const { address: _, addresses: __, ...kept } = registry;
  return { ...state, registry: { ...kept, ...servedBy(left) }, hosts };
}

async function removeFrom(
  state: ClusterState,
  hosts: HostSet,
  paths: StatePaths,
  options: DeleteOptions,
  deps: InstallDeps,
): Promise<DeleteResult> {
  const { reporter, signal } = deps;
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const { results, failures: silent } = await tryOnHosts(
    [...hosts.hosts.values()],
    (host) => findTraces(host, state.dataRoot),
    { concurrency, signal },
  );
  signal.throwIfAborted();
  const all = (wanted: (host: HostState) => boolean): readonly Host[] =>
    state.hosts.flatMap((host) => (host.leaving !== true && wanted(host) ? (hosts.hosts.get(host.address) ?? []) : []));
  const staying = all(() => true).filter(({ address }) => results.has(address));
  const masters = all(isMaster).filter((one) => staying.includes(one));
  const driver = await driverOf(state);
  const entry = await driver.liveMaster(masters, hostPaths(state.dataRoot, state.name).rootfs);
  if (entry === undefined) {
    throw new SlipwayError('E_CLUSTER_STATE', `no master of cluster ${state.name} that is to stay answers`, {
      hint: 'bring one up first; "slipway status" shows what is wrong with them',
    });
  }
  const leaving = state.hosts.flatMap(({ address, leaving: goes }): LeavingHost[] => {
    const host = hosts.hosts.get(address);
    return goes === true && options.addresses.includes(address) && host !== undefined
      ? [{ address, host, traces: results.get(address) }]
      : [];
  });
  for (const { address, error } of silent) {
    // A wrong password or another host key is no host that is gone.
    if (options.addresses.includes(address) && !isSilence(error)) throw error;
    reporter.warn(`${address} does not answer: ${messageOf(error)}`);
  }
  const removal = makeRemoval({
    state,
    driver,
    context: contextOfState(
      state,
      [entry, ...all(isMaster).filter((one) => one !== entry)],
      all((host) => !isMaster(host)),
    ),
    leaving,
    staying,
    up: true,
    options,
    skipHooks: options.skipHooks === true,
  });
  const problem = await removal.driver.removalProblem(
    leaving.map(({ host }) => host),
    removal.context,
  );
  if (problem !== undefined) {
    throw new SlipwayError('E_CLUSTER_STATE', `nothing was changed: ${problem}`, {
      hint: 'bring the other masters up first, or add a master before you take one away',
    });
  }
  return executeRemoval(removal, state, hosts, paths, options, deps);
}

async function executeRemoval(
  removal: Removal,
  state: ClusterState,
  hosts: HostSet,
  paths: StatePaths,
  options: DeleteOptions,
  { reporter, signal }: InstallDeps,
): Promise<DeleteResult> {
  const touched = [...removal.staying, ...removal.hosts.map(({ host }) => host)];
  const locks = await lockCluster(
    touched.flatMap(({ address }) => hosts.quiet.get(address) ?? []),
    state,
    'delete',
  );
  try {
    await writeClusterState(paths, state);
    const journal = await Journal.open(paths.journal, randomUUID());
    const again = options.again ?? 'the same command';
    try {
      // The master that kubectl asks here may be one that leaves.
      const [entry] = removal.context.masters;
      const kubeconfig: KubeconfigWork | undefined =
        entry === undefined
          ? undefined
          : {
              driver: removal.driver,
              cluster: removal.context,
              state: paths,
              entry: { address: entry.address, host: entry },
            };
      const plan = [
        ...(kubeconfig === undefined ? [] : makePlan([kubeconfigPhase], kubeconfig)),
        ...makePlan(DELETE_PHASES, removal),
      ];
      const outcome = await execute(plan, {
        journal,
        done: new Map(),
        logs: hosts.logs,
        reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set(),
        signal,
        abort: locks.lost,
        again,
      });
      const failed = new Set(outcome.failures.flatMap(({ step }) => step.host ?? []));
      const { clean, left } = partition(removal, state, failed, reporter);
      const forgotten = options.forget ? left.filter((address) => !failed.has(address)) : [];
      const gone = new Set([...clean, ...forgotten]);
      const now = { ...state, hosts: state.hosts.filter(({ address }) => !gone.has(address)) };
      const stays = ({ address }: HostState): boolean => removal.staying.some((host) => host.address === address);
      const masters = now.hosts.filter((host) => isMaster(host) && stays(host));
      await keepOnMasters(
        masters.flatMap(({ address }) => hosts.hosts.get(address) ?? []),
        now,
        paths,
        reporter,
      );
      return {
        cluster: state.name,
        removed: clean,
        forgotten,
        left: left.filter((address) => !forgotten.includes(address)),
        failures: outcome.failures.map((failure) => failureError(failure, { logs: hosts.logs, again })),
      };
    } finally {
      await journal.close();
    }
  } finally {
    await locks.release();
  }
}
