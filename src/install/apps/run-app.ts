import { randomUUID } from 'node:crypto';
import { SlipwayError } from '../../base/errors.js';
import { withLock } from '../../store/locks.js';
import { lockCluster } from '../cluster-hosts/lock-hosts.js';
import { execute, failureError } from '../plan/execute.js';
import { formatPlan, inspectPlan, type PlanDocument } from '../plan/plan.js';
import { preflightError } from '../plan/preflight.js';
import { withApp } from '../state/app-state.js';
import { type StatePaths, statePaths } from '../state/cluster-paths.js';
import { type ClusterState, readClusterState, registryServers, writeClusterState } from '../state/cluster-state.js';
import { Journal } from '../state/journal.js';
import { keepImages } from '../state/kept-images.js';
import { keepOnMasters } from '../state/kept-on-masters.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from '../survey.js';
import { mastersUp } from './app-hosts.js';
import type { AppSpec } from './app-spec.js';
import { type AppSurvey, type InstallAppOptions, withAppSurvey } from './survey-app.js';

/** An application image that is on a cluster. */
export interface RunAppResult {
  readonly cluster: string;
  readonly name: string;
  readonly image: { readonly name: string; readonly digest: string };
  /** What of it was started; of an image as a whole nothing is named. */
  readonly applications: readonly string[];
  /** Steps that were run, and that were done already. */
  readonly ran: number;
  readonly skipped: number;
  /** Hosts that were left out, with the reason. */
  readonly failures: readonly SlipwayError[];
}

/**
 * Installs an application image on a cluster that is up, or goes on installing it, or changes it to what is wanted, or finds that there is
 * nothing to do. The cluster's own files, and those of other applications, stay as they are.
 * @throws SlipwayError E_PREFLIGHT with all problems, before anything is changed; E_NOT_FOUND, E_LOCKED, E_CLUSTER_STATE, E_UNSUPPORTED for an
 * image that is none of applications, E_INTERRUPTED, and what steps throw.
 */
export async function runApp(
  cluster: string,
  spec: AppSpec,
  options: InstallAppOptions,
  deps: InstallDeps,
): Promise<RunAppResult> {
  return withClusterState(cluster, deps, (state, paths) =>
    withAppSurvey(state, spec, paths, options, deps, (survey) => install(survey, paths, options, deps)),
  );
}

/** What {@link runApp} would do, and why. Problems that would stop it are part of the answer. */
export async function planApp(
  cluster: string,
  spec: AppSpec,
  options: InstallAppOptions,
  deps: InstallDeps,
): Promise<{ readonly document: PlanDocument; readonly text: string }> {
  const paths = statePaths(deps.store.root, cluster);
  const state = await stateOf(paths, cluster);
  return deps.store.use(() =>
    withAppSurvey(state, spec, paths, options, deps, async ({ plan, image, report, hosts }) => {
      const steps = await inspectPlan(plan, new Map(), {
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        signal: deps.signal,
        silent: hosts.silentAddresses,
      });
      const document: PlanDocument = {
        schema: 1,
        cluster,
        image: image.name,
        imageDigest: image.digest,
        version: state.version,
        problems: report.problems.map(({ host, problem, hint }) => ({ host: host ?? null, problem, hint })),
        warnings: report.warnings,
        notes: report.notes,
        steps,
      };
      return { document, text: formatPlan(document, new Map(plan.map(({ name, title }) => [name, title]))) };
    }),
  );
}

/** Gives the state of a cluster to `use`, while nobody else of this machine changes it. @throws SlipwayError E_NOT_FOUND, E_LOCKED */
export async function withClusterState<T>(
  cluster: string,
  { store }: InstallDeps,
  use: (state: ClusterState, paths: StatePaths) => Promise<T>,
): Promise<T> {
  const paths = statePaths(store.root, cluster);
  await stateOf(paths, cluster);
  return withLock(
    paths.lock,
    'exclusive',
    `cluster ${cluster}`,
    () => store.use(async () => use(await stateOf(paths, cluster), paths)),
    { waitSeconds: 0 },
  );
}

async function stateOf(paths: StatePaths, cluster: string): Promise<ClusterState> {
  const state = await readClusterState(paths);
  if (state !== undefined) return state;
  throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${cluster}`, {
    hint: 'applications are installed on a cluster that "slipway run" has launched; "slipway status" lists those',
  });
}

async function install(
  { before, image, app, state, hosts, report, plan }: AppSurvey,
  paths: StatePaths,
  options: InstallAppOptions,
  { store, reporter, signal }: InstallDeps,
): Promise<RunAppResult> {
  if (report.problems.length > 0) throw preflightError(report.problems);
  for (const warning of report.warnings) reporter.warn(warning);
  const again = options.again ?? 'the same command';
  const locks = await lockCluster(
    hosts.up.flatMap(({ address }) => hosts.set.quiet.get(address) ?? []),
    state,
    'run-app',
  );
  try {
    await keepImages(store, state, image);
    await writeClusterState(paths, state);
    const journal = await Journal.open(paths.journal, randomUUID());
    try {
      const outcome = await execute(plan, {
        journal,
        done: new Map(),
        logs: hosts.set.logs,
        reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set([...(hosts.entry === undefined ? [] : [hosts.entry.address]), ...registryServers(state)]),
        signal,
        abort: locks.lost,
        again,
      });
      const updated = outcome.ran === 0 && before?.phase === 'installed' ? before.updated : new Date().toISOString();
      const installed = { ...app, phase: 'installed' as const, updated };
      const now = { ...state, applications: withApp(state.applications, installed) };
      await keepOnMasters(mastersUp(hosts), now, paths, reporter);
      return {
        cluster: state.name,
        name: app.name,
        image: app.image,
        applications: app.launched.flatMap(({ application }) => application ?? []),
        ran: outcome.ran,
        skipped: outcome.skipped,
        failures: outcome.failures.map((failure) => failureError(failure, { logs: hosts.set.logs, again })),
      };
    } finally {
      await journal.close();
    }
  } finally {
    await locks.release();
  }
}
