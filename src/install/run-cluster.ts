import { randomUUID } from 'node:crypto';
import { fileSystemError, SlipwayError } from '../base/errors.js';
import { makeDirectory } from '../base/make-directory.js';
import type { Reporter } from '../base/reporter.js';
import type { Platform } from '../image/platform.js';
import type { ClusterNode } from '../runtime/driver.js';
import { withLock } from '../store/locks.js';
import type { Store } from '../store/store.js';
import { applicationFindings, launchCommands } from './applications.js';
import { type StatePaths, statePaths } from './cluster-paths.js';
import { type ClusterSpec, isMaster, mastersOf } from './cluster-spec.js';
import { type ClusterState, readClusterState, writeClusterState } from './cluster-state.js';
import { type Connect, type HostSet, lookAtHosts, openHosts, sshConnect } from './connect-hosts.js';
import { execute, failureError } from './execute.js';
import { loadInstallImage } from './install-image.js';
import { Journal, type JournalEntry, lastEvents, readJournal } from './journal.js';
import { lockHosts } from './lock-hosts.js';
import { nextState, withFacts } from './next-state.js';
import { formatPlan, inspectPlan, makePlan, type Plan, type PlanDocument } from './plan.js';
import { type HostFinding, type PreflightReport, type PreflightRules, preflight, preflightError } from './preflight.js';
import { makeWork, neededBytes, type Prepared, prepare, registryHost } from './prepare.js';
import { RUN_PHASES } from './run-phases.js';
import type { InstallWork } from './work.js';

/** What the installer is given by whoever calls it. */
export interface InstallDeps {
  readonly store: Store;
  readonly reporter: Reporter;
  /** The first Ctrl-C: running steps finish, no other begins. */
  readonly signal: AbortSignal;
  /** Default: SSH, host keys trusted on first use. */
  readonly connect?: Connect;
}

export interface RunClusterOptions {
  /** Hosts worked on at once; default 10. */
  readonly concurrency?: number;
  /** Hosts that receive files at once; default 5. */
  readonly concurrentUploads?: number;
  /** How long nodes may take to be Ready; default 5 minutes. */
  readonly readyTimeoutMs?: number;
  /** Forget what earlier runs did; what hosts say counts all the same. */
  readonly fromScratch?: boolean;
  /** The platform of the hosts, when the image is for several. */
  readonly platform?: Platform;
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
}

const DEFAULT_CONCURRENCY = 10;
const DEFAULT_UPLOADS = 5;
const DEFAULT_READY_MS = 5 * 60_000;

/**
 * Installs a cluster, or goes on installing one, or finds that there is nothing to do.
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
  const state = statePaths(deps.store.root, spec.name);
  await makeStateDir(state);
  return deps.store.use(() =>
    withHosts(spec, state, options, deps, async ({ plan, work, report, silent }) => {
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

/** One error that says which hosts were left out; undefined when none was. */
export function leftOutError({ cluster, failures }: RunResult, hosts: number): SlipwayError | undefined {
  const [first] = failures;
  if (first === undefined) return undefined;
  const lines = failures.map(({ message }) => `  ${message.replaceAll('\n', '\n  ')}`);
  return new SlipwayError(
    first.code === 'E_INTERRUPTED' ? 'E_HOST_COMMAND' : first.code,
    `cluster ${cluster} is up, but ${failures.length} of ${hosts} hosts were left out:\n${lines.join('\n')}`,
    { ...(first.hint === undefined ? {} : { hint: first.hint }), cause: first },
  );
}

interface Ready {
  readonly plan: Plan;
  readonly work: InstallWork;
  readonly report: PreflightReport;
  readonly hosts: HostSet;
  readonly clusterState: ClusterState;
  /** Workers that do not answer, of a cluster that was begun already. */
  readonly leftOut: readonly SlipwayError[];
  /** Every host that does not answer. */
  readonly silent: ReadonlySet<string>;
}

async function run(
  spec: ClusterSpec,
  state: StatePaths,
  options: RunClusterOptions,
  deps: InstallDeps,
): Promise<RunResult> {
  const { reporter, signal } = deps;
  return withHosts(spec, state, options, deps, async ({ plan, work, report, hosts, clusterState, leftOut }) => {
    if (report.problems.length > 0) throw preflightError(report.problems);
    for (const warning of report.warnings) reporter.warn(warning);
    for (const note of report.notes) reporter.debug(note);
    for (const { message } of leftOut) reporter.warn(`left out: ${message}`);
    const locked = work.hosts.flatMap(({ address }) => hosts.quiet.get(address) ?? []);
    const locks = await lockHosts(locked, `run ${spec.name}`);
    const journal = await Journal.open(state.journal, randomUUID());
    try {
      await writeClusterState(state, clusterState);
      const again = options.again ?? 'the same command';
      const outcome = await execute(plan, {
        journal,
        done: await earlierSteps(state, options),
        logs: hosts.logs,
        reporter,
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        critical: new Set(mastersOf(spec).map(({ address }) => address)),
        signal,
        abort: locks.lost,
        again,
      });
      const failures = [
        ...leftOut,
        ...outcome.failures.map((failure) => failureError(failure, { logs: hosts.logs, again })),
      ];
      if (failures.length === 0) await writeClusterState(state, { ...clusterState, phase: 'running' });
      return {
        cluster: spec.name,
        version: work.image.version,
        kubeconfig: state.kubeconfig,
        nodes: await work.driver.nodes(work.first.host, work.cluster),
        ran: outcome.ran,
        skipped: outcome.skipped,
        failures,
      };
    } finally {
      await journal.close();
      await locks.release();
    }
  });
}

/**
 * Reads the image, looks at the hosts, and makes the plan; `use` gets it all, problems too, while the connections are open.
 */
async function withHosts<T>(
  spec: ClusterSpec,
  state: StatePaths,
  options: RunClusterOptions,
  { store, reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (ready: Ready) => Promise<T>,
): Promise<T> {
  const image = await loadInstallImage(store, spec.image, options.platform);
  if (image.rootfs.skipped.length > 0) {
    reporter.warn(`devices and FIFOs of the image are not sent to hosts: ${image.rootfs.skipped.join(', ')}`);
  }
  const prepared = await prepare(spec, image);
  const before = await readClusterState(state);
  const wanted = nextState(before, spec, image, prepared.driver.name);
  const hosts = await openHosts(spec.hosts, state.logs, connect);
  try {
    const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
    const findings = await lookAtHosts(spec.hosts, hosts, spec.dataRoot, { concurrency, signal });
    signal.throwIfAborted();
    const absent = before === undefined ? [] : findings.filter(isAbsentWorker);
    const present = findings.filter((finding) => !absent.some(({ host }) => host === finding.host));
    const report = preflight(present, rulesOf(prepared, wanted));
    const work = await makeWork(prepared, {
      state,
      clusterState: wanted,
      begun: before !== undefined,
      hosts: hosts.hosts,
      leftOut: new Set(absent.map(({ host }) => host.address)),
      concurrentUploads: options.concurrentUploads ?? DEFAULT_UPLOADS,
      readyTimeoutMs: options.readyTimeoutMs ?? DEFAULT_READY_MS,
      reporter,
    });
    return await use({
      plan: makePlan(RUN_PHASES, work),
      work,
      report,
      hosts,
      clusterState: withFacts(wanted, findings),
      leftOut: absent.map(({ failure }) => failure),
      silent: new Set(findings.flatMap((finding) => ('failure' in finding ? [finding.host.address] : []))),
    });
  } finally {
    for (const problem of await hosts.close()) reporter.warn(`the log is not complete: ${problem}`);
  }
}

function rulesOf(prepared: Prepared, { id, name }: ClusterState): PreflightRules {
  const { spec, image, driver, networks } = prepared;
  return {
    clusterId: id,
    clusterName: name,
    architecture: image.platform.architecture,
    image: applicationFindings(image, launchCommands(spec, image)),
    missingPrograms: driver.programs.filter((path) => !image.rootfs.entries.some((entry) => entry.path === path)),
    ports: (host) => [
      ...driver.ports(isMaster(host) ? 'master' : 'worker'),
      ...(registryHost(prepared) === host.address ? [spec.registry.port] : []),
    ],
    diskBytes: (host) => neededBytes(prepared, host),
    ...networks,
  };
}

/** A worker that does not answer is no reason not to go on with a cluster that was begun: it may be why the last run failed. */
function isAbsentWorker(finding: HostFinding): finding is Extract<HostFinding, { readonly failure: SlipwayError }> {
  return 'failure' in finding && finding.failure.code === 'E_HOST_UNREACHABLE' && !isMaster(finding.host);
}

async function earlierSteps(state: StatePaths, { fromScratch }: RunClusterOptions) {
  return fromScratch === true ? new Map<string, JournalEntry>() : lastEvents(await readJournal(state.journal));
}

async function makeStateDir({ dir }: StatePaths): Promise<void> {
  try {
    await makeDirectory(dir, 0o700);
  } catch (error) {
    throw fileSystemError(error, `making ${dir}`);
  }
}
