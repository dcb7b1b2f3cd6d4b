import { randomUUID } from 'node:crypto';
import { SlipwayError } from '../../base/errors.js';
import { hexOf } from '../../image/digest.js';
import { lockCluster } from '../cluster-hosts/lock-hosts.js';
import { appConfigFiles } from '../files/applications.js';
import { withConfigs } from '../files/config-files.js';
import { hostRootfs, renderTemplates, type WantedEntry } from '../files/rootfs.js';
import { APP_DELETE_PHASES } from '../phases/app-delete.js';
import { launchedNotes } from '../phases/launched-notes.js';
import { type ExecuteOutcome, execute, failureError } from '../plan/execute.js';
import { makePlan } from '../plan/plan.js';
import { preflightError } from '../plan/preflight.js';
import { type AppState, withApp } from '../state/app-state.js';
import { appPaths, hostPaths, type StatePaths } from '../state/cluster-paths.js';
import { type ClusterState, writeClusterState } from '../state/cluster-state.js';
import { Journal } from '../state/journal.js';
import { keepImages } from '../state/kept-images.js';
import { keepOnMasters } from '../state/kept-on-masters.js';
import { registerSecretVariables } from '../state/kept-spec.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from '../survey.js';
import { appEnvs } from './app-env.js';
import {
  type AppHosts,
  type AppOptions,
  assertRunning,
  mastersUp,
  noMasterProblem,
  withAppHosts,
} from './app-hosts.js';
import { type AppRemoval, type DeleteCommand, deleteCommandsOf, type GivenForDeletion } from './app-removal.js';
import { installedApp } from './app-spec.js';
import { installedImage } from './installed-images.js';
import { withClusterState } from './run-app.js';
import { ownUpstreams } from './survey-app.js';

export interface DeleteAppOptions extends AppOptions, GivenForDeletion {
  /** The name by which it was installed. */
  readonly name: string;
  /** What cannot be taken away stays, and is told. */
  readonly force: boolean;
}

/** What became of an application. */
export interface DeleteAppResult {
  readonly cluster: string;
  readonly name: string;
  readonly ran: number;
  /** What of it is still in the cluster, or on hosts, and that nobody will take away: for people, a line each. */
  readonly left: readonly string[];
  /** Hosts that it is not away from yet: the same command goes on. */
  readonly hosts: readonly string[];
  readonly failures: readonly SlipwayError[];
}

/**
 * Takes an application off a cluster: what it has started, by its delete commands, then its container images and files. Goes on where an
 * earlier attempt stopped. Asks nothing.
 * @throws SlipwayError E_NOT_FOUND for an application that is not there; E_CLUSTER_STATE when its commands are not known or cannot be run, and
 * it is not forced; E_LOCKED, E_INTERRUPTED, and what steps throw.
 */
export async function deleteApp(
  cluster: string,
  options: DeleteAppOptions,
  deps: InstallDeps,
): Promise<DeleteAppResult> {
  return withClusterState(cluster, deps, async (state, paths) => {
    const app = installedApp(state, options.name);
    assertRunning(state);
    registerSecretVariables({ env: options.env, hosts: [], appConfigs: [...options.appConfigs] });
    return withAppHosts(state, paths, options, deps, async (hosts) => {
      const problems = [...hosts.problems, ...(hosts.entry === undefined ? [noMasterProblem(state)] : [])];
      if (problems.length > 0 && !options.force) throw preflightError(problems);
      for (const { problem } of problems) deps.reporter.warn(problem);
      const left: string[] = [];
      const removal = await prepareRemoval({ state, app, hosts, options, left }, deps);
      return remove(removal, { state, app, hosts, options, left }, paths, deps);
    });
  });
}

/** One error that says on which hosts something of it still is; undefined when there is none. */
export function leftOnHostsError({ cluster, name, hosts, failures }: DeleteAppResult): SlipwayError | undefined {
  const [first] = failures;
  const why = failures.map(({ message }) => `\n  ${message.replaceAll('\n', '\n  ')}`).join('');
  if (hosts.length === 0) {
    if (first === undefined) return undefined;
    return new SlipwayError(first.code, `${name} is off cluster ${cluster}, but not all went well:${why}`, {
      ...(first.hint === undefined ? {} : { hint: first.hint }),
      cause: first,
    });
  }
  return new SlipwayError(
    first?.code ?? 'E_HOST_UNREACHABLE',
    `files of the application ${name} are still on ${hosts.join(', ')}${why === '' ? ', which cannot be reached' : why}`,
    { hint: 'when they answer again, run the same command; with --force those hosts are forgotten' },
  );
}

interface RemovalFacts {
  readonly state: ClusterState;
  readonly app: AppState;
  readonly hosts: AppHosts;
  readonly options: DeleteAppOptions;
  /** Takes what nobody will take away. */
  readonly left: string[];
}

async function prepareRemoval(facts: RemovalFacts, deps: InstallDeps): Promise<AppRemoval> {
  const { state, app, hosts, options, left } = facts;
  const { driver, entry } = hosts;
  const paths = hostPaths(state.dataRoot, state.name);
  const places = appPaths(paths, app.name);
  const { env, cluster } =
    entry === undefined
      ? { env: {}, cluster: {} }
      : appEnvs(state, driver, places.files.rootfs, entry.known, { env: app.imageEnv, applications: [] }, {}, []);
  const { commands, unknown } = deleteCommandsOf(app, options, env, cluster);
  if (unknown.length > 0 && !options.force) throw unknownError(app, unknown);
  left.push(...unknown.map((what) => `what ${what} started: nothing says how it is taken away`));
  const master = entry === undefined ? undefined : { driver, host: entry.host, rootfs: paths.rootfs };
  if (master === undefined) left.push(...commands.map(notRun));
  const files = master === undefined ? [] : await missingFiles(facts, commands, master, deps);
  if (files === undefined) {
    if (!options.force) throw noFilesError(app);
    left.push(...commands.map(notRun));
  }
  const holders = hosts.up.filter(({ address }) => app.hosts.includes(address)).map(({ host }) => host);
  return {
    cluster: state.name,
    app,
    applications: state.applications,
    paths,
    appPaths: places,
    registry: state.registry,
    upstreams: app.servesImages ? ownUpstreams(state, app) : [],
    hosts: hosts.up.map(({ host }) => host),
    registryHosts: holders,
    reporter: deps.reporter,
    commands: files === undefined ? [] : commands,
    master,
    adminKubeconfig: driver.adminKubeconfig,
    files: files?.length === 0 ? undefined : files,
    holders,
    force: options.force,
    failed: [],
  };
}

/** The files that commands are still to be run among and that the master lacks; undefined when nobody has them. */
async function missingFiles(
  { state, app, hosts: { driver, entry }, options }: RemovalFacts,
  commands: readonly DeleteCommand[],
  master: NonNullable<AppRemoval['master']>,
  { store, reporter }: InstallDeps,
): Promise<readonly WantedEntry[] | undefined> {
  const notes = await launchedNotes(master);
  if (commands.every(({ id, inputs }) => notes.get(id) === hexOf(inputs))) return [];
  const { files } = appPaths(hostPaths(state.dataRoot, state.name), app.name);
  if (entry === undefined || (await entry.host.exists(files.toc))) return [];
  const image = await installedImage(store, app);
  if (image === undefined) return undefined;
  const rootfs = await withConfigs(image.rootfs, appConfigFiles(app.appConfigs));
  const given = { ...app.env, ...options.env };
  const envs = appEnvs(state, driver, files.rootfs, entry.known, image, given, app.appConfigs);
  const templates = { applications: envs.applications, warn: (warning: string) => reporter.warn(warning) };
  return hostRootfs(rootfs, await renderTemplates(rootfs, envs.env, templates), false);
}

async function remove(
  removal: AppRemoval,
  { state, app, hosts, options, left }: RemovalFacts,
  paths: StatePaths,
  { store, reporter, signal }: InstallDeps,
): Promise<DeleteAppResult> {
  const again = options.again ?? 'the same command';
  const locks = await lockCluster(
    hosts.up.flatMap(({ address }) => hosts.set.quiet.get(address) ?? []),
    state,
    'delete-app',
  );
  try {
    const deleting = { ...app, phase: 'deleting' as const };
    await writeClusterState(paths, { ...state, applications: withApp(state.applications, deleting) });
    const journal = await Journal.open(paths.journal, randomUUID());
    try {
      const outcome = await execute(makePlan(APP_DELETE_PHASES, removal), {
        journal,
        done: new Map(),
        logs: hosts.set.logs,
        reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set(removal.master === undefined ? [] : [removal.master.host.address]),
        signal,
        abort: locks.lost,
        again,
      });
      left.push(...removal.failed.map((title) => `what "${title}" was to take away: it failed`));
      const remaining = remainingHosts(state, app, hosts, outcome);
      const forgotten = options.force ? remaining : [];
      left.push(...forgotten.map((address) => `its files on ${address}`));
      const staying = options.force ? [] : remaining;
      const others = state.applications.filter(({ name }) => name !== app.name);
      const after = {
        ...state,
        applications: staying.length === 0 ? others : withApp(others, { ...deleting, hosts: staying }),
      };
      await keepOnMasters(mastersUp(hosts), after, paths, reporter);
      await keepImages(store, after);
      return {
        cluster: state.name,
        name: app.name,
        ran: outcome.ran,
        left,
        hosts: staying,
        failures: outcome.failures.map((failure) => failureError(failure, { logs: hosts.set.logs, again })),
      };
    } finally {
      await journal.close();
    }
  } finally {
    await locks.release();
  }
}

/** Hosts of the cluster that had something of it and may have it still. */
function remainingHosts(
  { hosts: known }: ClusterState,
  app: AppState,
  { up }: AppHosts,
  { failures }: ExecuteOutcome,
): string[] {
  const failed = failures.map(({ step }) => step.host);
  return app.hosts.filter(
    (address) =>
      known.some((host) => host.address === address && host.leaving !== true) &&
      (failed.includes(address) || !up.some((one) => one.address === address)),
  );
}

function notRun({ command, application }: DeleteCommand): string {
  const [line = ''] = command.split('\n', 1);
  return `what "${application === undefined ? '' : `${application}: `}${line}" takes away: it could not be run`;
}

function unknownError({ name }: AppState, unknown: readonly string[]): SlipwayError {
  return new SlipwayError('E_CLUSTER_STATE', `nothing says how ${unknown.join(' and ')} of ${name} is taken away`, {
    hint: `say it: --cmd COMMAND, or delete.cmds in an Application document with -f; "slipway delete-app ${name} --force" removes the rest, and leaves in the cluster what was started`,
  });
}

function noFilesError({ name, image }: AppState): SlipwayError {
  return new SlipwayError(
    'E_CLUSTER_STATE',
    `the commands that take ${name} away cannot be run: no master that answers has its files, and ${image.name} is not in the store`,
    {
      hint: `"slipway pull ${image.name}" or "slipway load" bring it; --force removes the rest, and leaves in the cluster what was started`,
    },
  );
}
