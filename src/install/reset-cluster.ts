import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { fileSystemError, messageOf, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import { tryOnHosts } from '../hosts/host-group.js';
import { withLock } from '../store/locks.js';
import { type HostSet, openHosts, sshConnect } from './cluster-hosts/connect-hosts.js';
import { findTraces } from './cluster-hosts/host-owner.js';
import { lockHosts } from './cluster-hosts/lock-hosts.js';
import { type ExecuteOutcome, execute } from './plan/execute.js';
import { makePlan } from './plan/plan.js';
import type { Phase } from './plan/step.js';
import { isSilence } from './removal.js';
import { hostsToReset, type ResetFlags } from './reset-hosts.js';
import { ASKING_PHASES, RESET_PHASES } from './reset-phases.js';
import { type ResetWork, resetWork } from './reset-work.js';
import { clusterNameSchema, DEFAULTS, type HostSpec, isMaster } from './spec/cluster-spec.js';
import { type StatePaths, statePaths } from './state/cluster-paths.js';
import { type ClusterState, readClusterState, writeClusterState } from './state/cluster-state.js';
import { Journal } from './state/journal.js';
import { outdatedProblem } from './state/kept-on-masters.js';
import type { InstallDeps } from './survey.js';

export interface ResetOptions extends ResetFlags {
  /** The name of the cluster. */
  readonly cluster: string;
  /** Hosts worked on at once; default 10. */
  readonly concurrency?: number;
  readonly again?: string;
  /** Plugins do nothing. */
  readonly skipHooks?: boolean;
  /** Hosts that do not answer are forgotten: they are gone for good. */
  readonly forget?: boolean;
}

/** What became of the hosts. */
export interface ResetResult {
  readonly cluster: string;
  /** Hosts on which nothing of the cluster is left. */
  readonly clean: readonly string[];
  /** Hosts that did not answer and are not known any more. */
  readonly forgotten: readonly string[];
  /** Hosts on which something is, and why. */
  readonly left: readonly { readonly host: string; readonly why: string; readonly log: string }[];
}

const DEFAULT_CONCURRENCY = 10;

/**
 * Takes a cluster away: from every host that answers everything that Slipway put there. Works on clusters that were never finished,
 * without the image, and again. Hosts that do not answer stay in the cluster's state, and in the result; when none is left the
 * state goes as well. Asks nothing.
 * @throws SlipwayError E_NOT_FOUND, E_LOCKED, E_CLUSTER_STATE when a host belongs to another cluster, E_INTERRUPTED.
 */
export async function resetCluster(options: ResetOptions, deps: InstallDeps): Promise<ResetResult> {
  const { cluster } = options;
  if (!clusterNameSchema.safeParse(cluster).success) {
    throw new SlipwayError('E_USAGE', `${JSON.stringify(cluster)} is not the name of a cluster`);
  }
  const state = statePaths(deps.store.root, cluster);
  // Says what is wrong with the flags before anything is made.
  hostsToReset(cluster, options, await readClusterState(state));
  await makeDirectory(state.dir, 0o700).catch((error: unknown) => {
    throw fileSystemError(error, `making ${state.dir}`);
  });
  return withLock(
    state.lock,
    'exclusive',
    `cluster ${cluster}`,
    async () => {
      const before = await readClusterState(state);
      return reset(hostsToReset(cluster, options, before), before, state, options, deps);
    },
    { waitSeconds: 0 },
  );
}

/** One error that lists what is left; undefined when nothing is. */
export function leftoverError({ cluster, left }: ResetResult): SlipwayError | undefined {
  if (left.length === 0) return undefined;
  const lines = left.map(({ host, why, log }) => `  ${host}: ${why.replaceAll('\n', '\n    ')}\n    log: ${log}`);
  return new SlipwayError('E_CLUSTER_STATE', `cluster ${cluster} is still on these hosts:\n${lines.join('\n')}`, {
    hint: left.some(({ why }) => why.startsWith('hook '))
      ? 'mend what the hook says and run the same command once more, or with --skip-hooks'
      : 'when they answer again, run the same command once more; --forget when they are gone for good',
    details: { left },
  });
}

async function reset(
  specs: readonly HostSpec[],
  before: ClusterState | undefined,
  state: StatePaths,
  options: ResetOptions,
  deps: InstallDeps,
): Promise<ResetResult> {
  const { cluster } = options;
  warnOfLostHooks(before, options, deps);
  const hosts = await openHosts(specs, state.logs, deps.connect ?? sshConnect());
  const left = new Map<string, string>();
  const forgotten: string[] = [];
  try {
    const ours = await findOurs(specs, before, hosts, { left, forgotten }, options, deps);
    for (const [address, why] of left) deps.reporter.warn(`${address}: ${why.split('\n', 1)[0]}`);
    const answering = ours.flatMap(({ address }) => hosts.hosts.get(address) ?? []);
    const outdated = before === undefined ? undefined : await outdatedProblem(answering, before);
    if (outdated !== undefined)
      deps.reporter.warn(
        `${outdated.problem}; a host that joined it there stays as it is, unless you ${outdated.hint}`,
      );
    if (ours.length > 0) {
      const failed = await resetHosts({ ours, before, hosts, state, options, deps });
      for (const [address, why] of failed) left.set(address, why);
    }
  } finally {
    for (const problem of await hosts.close()) deps.reporter.warn(`the log is not complete: ${problem}`);
  }
  const clean = specs.map(({ address }) => address).filter((one) => !left.has(one) && !forgotten.includes(one));
  await forget(before, [...clean, ...forgotten], left.size === 0, state);
  return {
    cluster,
    clean,
    forgotten,
    left: [...left].map(([host, why]) => ({ host, why, log: hosts.logs.get(host)?.file ?? '' })),
  };
}

/** A plugin with a secret in it was never kept: whoever relies on what it does at the end must know. */
function warnOfLostHooks(
  before: ClusterState | undefined,
  { skipHooks = false }: ResetOptions,
  { reporter }: InstallDeps,
): void {
  const lost = before?.notKept.filter((one) => one.startsWith('Plugin ')) ?? [];
  if (!skipHooks && lost.length > 0)
    reporter.warn(
      `secrets were in it and it was not kept: ${lost.join(', ')}. If it has hooks for a reset, they are not run`,
    );
}

/**
 * The hosts on which there is something of this cluster. Those that cannot be asked, or are another's, go into `left`; those that do not
 * answer, and need not, into `forgotten`.
 */
async function findOurs(
  specs: readonly HostSpec[],
  before: ClusterState | undefined,
  { hosts }: HostSet,
  { left, forgotten }: { readonly left: Map<string, string>; readonly forgotten: string[] },
  options: ResetOptions,
  { reporter, signal }: InstallDeps,
): Promise<readonly HostSpec[]> {
  const { results, failures } = await tryOnHosts(
    [...hosts.values()],
    (host) => findTraces(host, before?.dataRoot ?? DEFAULTS.dataRoot),
    { concurrency: options.concurrency ?? DEFAULT_CONCURRENCY, signal },
  );
  signal.throwIfAborted();
  for (const { address, error } of failures) {
    // A wrong password or another host key is no host that is gone.
    if (options.forget === true && isSilence(error)) forgotten.push(address);
    else left.set(address, messageOf(error));
  }
  return specs.filter(({ address }) => {
    const owners = results.get(address)?.owners;
    if (owners === undefined) return false;
    if (owners.some((one) => (before === undefined ? one.cluster === options.cluster : one.id === before.id)))
      return true;
    // Somebody else made it: no mark says whose it is, but what is there of Kubernetes.
    if (before?.foreign === true && owners.length === 0) return (results.get(address)?.kubernetes.length ?? 0) > 0;
    const [other] = owners;
    if (other === undefined) reporter.info(`${address}: nothing of ${options.cluster} is on it`);
    else left.set(address, `it belongs to another cluster (${other.cluster}, ${other.id}); nothing was done`);
    return false;
  });
}

interface ResetJob {
  readonly ours: readonly HostSpec[];
  readonly before: ClusterState | undefined;
  readonly hosts: HostSet;
  readonly state: StatePaths;
  readonly options: ResetOptions;
  readonly deps: InstallDeps;
}

/** Runs the phases; gives the hosts that failed, and why. */
async function resetHosts({
  ours,
  before,
  hosts,
  state,
  options,
  deps,
}: ResetJob): Promise<ReadonlyMap<string, string>> {
  const { cluster } = options;
  const quiet = ours.flatMap(({ address }) => hosts.quiet.get(address) ?? []);
  const work = await resetWork(options, ours, before, hosts);
  const locks = await lockHosts(quiet, `reset ${cluster}`);
  const run = async (phases: readonly Phase<ResetWork>[]): Promise<ExecuteOutcome> => {
    const journal = await Journal.open(state.journal, randomUUID());
    try {
      return await execute(makePlan(phases, work), {
        journal,
        done: new Map(),
        logs: hosts.logs,
        reporter: deps.reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set(),
        signal: deps.signal,
        abort: locks.lost,
        again: options.again ?? 'the same command',
      });
    } finally {
      await journal.close();
    }
  };
  try {
    await run(ASKING_PHASES);
    deps.signal.throwIfAborted();
    // What was done before is undone from now on.
    await rm(state.journal, { force: true });
    if (before !== undefined) await writeClusterState(state, { ...before, phase: phaseDuring(before, ours) });
    const { failures } = await run(RESET_PHASES);
    return new Map(failures.map(({ step, error }) => [step.host ?? '', `${step.title} failed: ${messageOf(error)}`]));
  } finally {
    await locks.release();
  }
}

/** Without a master a cluster is none; as long as one stays it is. */
function phaseDuring(before: ClusterState, ours: readonly HostSpec[]): ClusterState['phase'] {
  const stays = before.hosts.some(
    (host) => isMaster(host) && host.leaving !== true && !ours.some(({ address }) => address === host.address),
  );
  return stays ? before.phase : 'resetting';
}

/** Takes hosts out of the state; the whole state, logs and keys with it, when nothing is left anywhere. */
async function forget(
  before: ClusterState | undefined,
  gone: readonly string[],
  nothingLeft: boolean,
  state: StatePaths,
): Promise<void> {
  const now = await readClusterState(state);
  const remaining = (now?.hosts ?? []).filter(({ address }) => !gone.includes(address));
  if (remaining.length === 0 && (before !== undefined || nothingLeft)) {
    await rm(state.dir, { recursive: true, force: true });
  } else if (now !== undefined) await writeClusterState(state, { ...now, hosts: remaining });
}
