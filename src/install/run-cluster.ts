import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import type { ClusterNode } from '../runtime/driver.js';
import { withLock } from '../store/locks.js';
import type { Store } from '../store/store.js';
import { lockCluster } from './cluster-hosts/lock-hosts.js';
import { type ExecuteOutcome, execute, failureError } from './plan/execute.js';
import { formatPlan, inspectPlan, type PlanDocument } from './plan/plan.js';
import { preflightError } from './plan/preflight.js';
import { partition } from './removal.js';
import { type ClusterSpec, mastersOf } from './spec/cluster-spec.js';
import { type StatePaths, statePaths } from './state/cluster-paths.js';
import { type ClusterState, writeClusterState } from './state/cluster-state.js';
import { Journal, type JournalEntry, lastEvents, readJournal } from './state/journal.js';
import { keepImages } from './state/kept-images.js';
import { keepOnMasters } from './state/kept-on-masters.js';
import { stillOnTheirWay } from './state/next-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps, type Survey, type SurveyOptions, withSurvey } from './survey.js';

export interface RunClusterOptions extends SurveyOptions {
  /** Forget what earlier runs did; what hosts say counts all the same. */
  readonly fromScratch?: boolean;
  /** The command as it was given, for hints. */
  readonly again?: string;
}

/** A cluster that is up. */
export interface RunResult {
  readonly cluster: string;
  readonly version: string;
  readonly kubeconfig: string;
  readonly nodes: readonly ClusterNode[];
  /** Steps that were run, and that were done already. */
  readonly ran: number;
  readonly skipped: number;
  /** Hosts that were left out, with the reason; the cluster is up without them. */
  readonly failures: readonly SlipwayError[];
  /** Hosts that were taken out of the cluster and cleaned. */
  readonly removed: readonly string[];
  /** Hosts that were to be, and on which something of the cluster still is. */
  readonly leaving: readonly string[];
}

/**
 * Installs a cluster, or goes on installing one, or changes one to what is wanted, or finds that there is nothing to do.
 *
 * Hosts are looked at first, and nothing is changed while there is a problem with one of them. A worker that fails on the way is left
 * out and told in the result; a master that fails stops everything.
 * @throws SlipwayError E_PREFLIGHT with all problems, E_LOCKED, E_CLUSTER_STATE, E_INTERRUPTED, and what steps throw.
 */
export async function runCluster(spec: ClusterSpec, options: RunClusterOptions, deps: InstallDeps): Promise<RunResult> {
  const state = statePaths(deps.store.root, spec.name);
  await makeStateDir(state);
  return withLock(
    state.lock,
    'exclusive',
    `cluster ${spec.name}`,
    () => deps.store.use(() => run(spec, state, options, deps)),
    { waitSeconds: 0 },
  );
}

/**
 * What {@link runCluster} would do, and why. Connects to the hosts and changes nothing on them. Problems that would stop it are part of
 * the answer.
 */
export async function planCluster(
  spec: ClusterSpec,
  options: RunClusterOptions,
  deps: InstallDeps,
): Promise<{ readonly document: PlanDocument; readonly text: string }> {
  return withPlanPaths(deps.store, spec.name, (state) => planIn(state, spec, options, deps));
}

async function planIn(
  state: StatePaths,
  spec: ClusterSpec,
  options: RunClusterOptions,
  deps: InstallDeps,
): Promise<{ readonly document: PlanDocument; readonly text: string }> {
  return deps.store.use(() =>
    withSurvey(spec, state, options, deps, async ({ plan, work, report, silent }) => {
      const steps = await inspectPlan(plan, await earlierSteps(state, options), {
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        signal: deps.signal,
        silent,
      });
      const { image } = work;
      const document: PlanDocument = {
        schema: 1,
        cluster: spec.name,
        image: image.name,
        imageDigest: image.digest,
        version: image.version,
        problems: report.problems.map(({ host, problem, hint }) => ({ host: host ?? null, problem, hint })),
        warnings: report.warnings,
        notes: report.notes,
        steps,
      };
      return { document, text: formatPlan(document, new Map(plan.map(({ name, title }) => [name, title]))) };
    }),
  );
}

/** One error that says which hosts were left out, or are not clean; undefined when there is none. */
export function leftOutError({ cluster, failures, leaving }: RunResult, hosts: number): SlipwayError | undefined {
  const [first] = failures;
  if (first !== undefined) {
    const lines = failures.map(({ message }) => `  ${message.replaceAll('\n', '\n  ')}`);
    return new SlipwayError(
      first.code === 'E_INTERRUPTED' ? 'E_HOST_COMMAND' : first.code,
      `cluster ${cluster} is up, but ${failures.length} of ${hosts} hosts were left out:\n${lines.join('\n')}`,
      {
        hint: `${first.hint === undefined ? '' : `${first.hint}; `}one that is not to be a host of it: "slipway delete --cluster ${cluster} --nodes ADDRESS", with --forget when it does not answer`,
        cause: first,
      },
    );
  }
  if (leaving.length === 0) return undefined;
  return new SlipwayError(
    'E_HOST_UNREACHABLE',
    `out of cluster ${cluster}, but not clean, for they do not answer: ${leaving.join(', ')}`,
    {
      hint: 'when they answer again run the same command; those that are gone for good: "slipway delete" with --forget',
    },
  );
}

async function run(
  spec: ClusterSpec,
  state: StatePaths,
  options: RunClusterOptions,
  deps: InstallDeps,
): Promise<RunResult> {
  const { reporter } = deps;
  return withSurvey(spec, state, options, deps, async (survey) => {
    const { work, report, hosts, clusterState, leftOut, absent } = survey;
    if (report.problems.length > 0) throw preflightError(report.problems);
    for (const warning of report.warnings) reporter.warn(warning);
    for (const note of report.notes) reporter.debug(note);
    for (const { message } of leftOut) reporter.warn(`left out: ${message}`);
    const touched = [...work.hosts, ...(work.removal?.hosts ?? [])];
    const locked = touched.flatMap(({ address }) => hosts.quiet.get(address) ?? []);
    const locks = await lockCluster(locked, clusterState, 'run');
    const journal = await Journal.open(state.journal, randomUUID());
    try {
      await keepImages(deps.store, clusterState, work.image);
      await writeClusterState(state, clusterState);
      const again = options.again ?? 'the same command';
      const outcome = await execute(survey.plan, {
        journal,
        done: await earlierSteps(state, options),
        logs: hosts.logs,
        reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set(mastersOf(spec).map(({ address }) => address)),
        signal: deps.signal,
        abort: locks.lost,
        again,
      });
      const failures = [
        ...leftOut,
        ...outcome.failures.map((failure) => failureError(failure, { logs: hosts.logs, again })),
      ];
      const { clean, left } = leavers(survey, outcome, deps);
      const remaining = clusterState.hosts.filter(({ address }) => !clean.includes(address));
      const whole = failures.length === 0;
      const { changing, changeBegun, scaleUp: _, ...settled } = clusterState;
      const failed = new Set([...absent, ...outcome.failures.flatMap(({ step }) => step.host ?? [])]);
      const now: ClusterState = {
        ...settled,
        ...(whole || changing === undefined ? {} : { changing, ...(changeBegun === undefined ? {} : { changeBegun }) }),
        ...stillOnTheirWay(clusterState, failed),
        // Every master is up, or it would not have come so far. A worker that was left out is one that is missing.
        phase: 'running',
        hosts: remaining,
      };
      const masters = work.hosts.filter(({ master }) => master).map(({ host }) => host);
      const [nodes] = await Promise.all([
        work.driver.nodes(work.entry.host, work.cluster),
        keepOnMasters(masters, now, state, reporter),
      ]);
      return {
        cluster: spec.name,
        version: work.image.version,
        kubeconfig: state.kubeconfig,
        nodes,
        ran: outcome.ran,
        skipped: outcome.skipped,
        failures,
        removed: clean,
        leaving: left,
      };
    } finally {
      await journal.close();
      await locks.release();
    }
  });
}

function leavers(
  { work, clusterState }: Survey,
  { failures }: ExecuteOutcome,
  { reporter }: InstallDeps,
): ReturnType<typeof partition> {
  if (work.removal === undefined) return { clean: [], left: [] };
  const failed = new Set(failures.flatMap(({ step }) => step.host ?? []));
  return partition(work.removal, clusterState, failed, reporter);
}

async function earlierSteps(state: StatePaths, { fromScratch }: RunClusterOptions) {
  return fromScratch === true ? new Map<string, JournalEntry>() : lastEvents(await readJournal(state.journal));
}

/** Where what a plan makes on its way is put: beside the state of a cluster; of one that nobody has begun nothing stays. */
async function withPlanPaths<T>(store: Store, name: string, use: (state: StatePaths) => Promise<T>): Promise<T> {
  const own = statePaths(store.root, name);
  if (existsSync(own.dir)) return use(own);
  const temporary = await store.temp.path('plan');
  try {
    const state = { ...statePaths(temporary, name), kubeconfig: own.kubeconfig };
    await makeStateDir(state);
    return await use(state);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** The state is of a cluster, not of a run: it is there before anything is done. */
async function makeStateDir({ dir }: StatePaths): Promise<void> {
  try {
    await makeDirectory(dir, 0o700);
  } catch (error) {
    throw fileSystemError(error, `making ${dir}`);
  }
}
