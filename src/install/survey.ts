import type { SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import type { Platform } from '../image/platform.js';
import type { RemoveOptions } from '../runtime/driver.js';
import type { Store } from '../store/store.js';
import { installedImages, missingImages } from './apps/installed-images.js';
import {
  changeWarnings,
  documentWarnings,
  hostnameWarnings,
  installProblems,
  leavingProblems,
  leavingWarnings,
  networkProblems,
  removalProblems,
  staleProblems,
  upgradeProblems,
} from './change-problems.js';
import { type Connect, type HostSet, lookAtHosts, openHosts, sshConnect } from './cluster-hosts/connect-hosts.js';
import { applicationFindings, launchCommands } from './files/applications.js';
import { loadInstallImage } from './files/install-image.js';
import { findEntry, findSetups } from './find-entry.js';
import { wantedHostnames } from './hooks/plugin-marks.js';
import { makePlan, type Plan } from './plan/plan.js';
import { type HostFinding, type PreflightReport, type PreflightRules, preflight } from './plan/preflight.js';
import { makeWork, neededBytes, type Prepared, prepare, registryHosts } from './prepare.js';
import { type LeavingHost, makeRemoval } from './removal.js';
import { RUN_PHASES } from './run-phases.js';
import { type ClusterSpec, isMaster } from './spec/cluster-spec.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import type { StatePaths } from './state/cluster-paths.js';
import { type ClusterState, readClusterState } from './state/cluster-state.js';
import { outdatedProblem } from './state/kept-on-masters.js';
import { registerSecretVariables } from './state/kept-spec.js';
import { inKnownOrder, nextState, withFacts } from './state/next-state.js';
import { hostFromState } from './state/spec-from-state.js';
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

/** What decides how hosts are looked at and what the plan has in it. */
export interface SurveyOptions {
  /** Hosts worked on at once; default 10. */
  readonly concurrency?: number;
  /** Hosts that receive files from here at once; default 5, with `fanOut` 1. */
  readonly concurrentUploads?: number;
  /** Hosts that have the files send them on to others. */
  readonly fanOut?: boolean;
  /** How long nodes may take to be Ready; default 5 minutes. */
  readonly readyTimeoutMs?: number;
  /** The platform of the hosts, when the image is for several. */
  readonly platform?: Platform;
  /** The cluster may be taken to another image, so many workers at once; undefined: that is refused. */
  readonly upgrade?: { readonly batch: number; readonly change: NonNullable<ClusterState['changing']> };
  /** How long the pods of a node may take to go elsewhere when it is upgraded; default 5 minutes. */
  readonly drainTimeoutMs?: number;
  /** Nodes are set up anew that are as they should be by what they say: what was installed may have been changed. */
  readonly setUpAgain?: boolean;
  /** Hosts that are wanted no more are taken out of the cluster; undefined: that is refused. */
  readonly removal?: RemoveOptions & {
    /** How hosts are reached of which only the state knows. */
    readonly ssh: SshFlags;
  };
}

export const DEFAULT_CONCURRENCY = 10;
const DEFAULT_UPLOADS = 5;
const DEFAULT_READY_MS = 5 * 60_000;
const DEFAULT_DRAIN_MS = 5 * 60_000;

/** Everything that is known before anything is done. */
export interface Survey {
  readonly plan: Plan;
  readonly work: InstallWork;
  readonly report: PreflightReport;
  readonly hosts: HostSet;
  readonly clusterState: ClusterState;
  /** Workers that do not answer, of a cluster that was begun already. */
  readonly leftOut: readonly SlipwayError[];
  /** Their addresses. */
  readonly absent: readonly string[];
  /** Every host that does not answer. */
  readonly silent: ReadonlySet<string>;
}

/**
 * Reads the image, looks at the hosts, and makes the plan; `use` gets it all, problems too, while the connections are open.
 */
export async function withSurvey<T>(
  wantedSpec: ClusterSpec,
  state: StatePaths,
  options: SurveyOptions,
  { store, reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (survey: Survey) => Promise<T>,
): Promise<T> {
  registerSecretVariables(wantedSpec);
  const before = await readClusterState(state);
  const spec = inKnownOrder(wantedSpec, before);
  const image = await loadInstallImage(store, spec.image, options.platform);
  if (image.rootfs.skipped.length > 0) {
    reporter.warn(`devices and FIFOs of the image are not sent to hosts: ${image.rootfs.skipped.join(', ')}`);
  }
  const prepared = await prepare(spec, image);
  const { removal } = options;
  const wanted = nextState(before, prepared, {
    removal: removal !== undefined,
    change: options.upgrade?.change,
  });
  const leavingSpecs =
    removal === undefined
      ? []
      : wanted.hosts.filter(({ leaving }) => leaving === true).map((host) => hostFromState(host, removal.ssh));
  const hosts = await openHosts([...spec.hosts, ...leavingSpecs], state.logs, connect);
  try {
    const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
    const all = await lookAtHosts([...spec.hosts, ...leavingSpecs], hosts, spec.dataRoot, {
      concurrency,
      signal,
      programs: hostPrograms(prepared),
    });
    signal.throwIfAborted();
    const findings = all.slice(0, spec.hosts.length);
    const absent = before === undefined ? [] : findings.filter(isAbsentWorker);
    const present = findings.filter((finding) => !absent.some(({ host }) => host === finding.host));
    const leaving = all.slice(spec.hosts.length).flatMap((finding): LeavingHost[] => {
      const { address } = finding.host;
      const host = hosts.hosts.get(address);
      return host === undefined ? [] : [{ address, host, traces: 'traces' in finding ? finding.traces : undefined }];
    });
    const answering = present.flatMap(({ host }) => hosts.hosts.get(host.address) ?? []);
    const [entry, setups, outdated] = await Promise.all([
      findEntry(prepared, before, present, hosts),
      before === undefined ? new Map() : findSetups(prepared, present, hosts, concurrency),
      before === undefined ? undefined : outdatedProblem(answering, before),
    ]);
    const work = await makeWork(prepared, {
      state,
      clusterState: wanted,
      begun: before !== undefined,
      entry: entry.address,
      removal:
        removal === undefined || leaving.length === 0
          ? undefined
          : (context) =>
              makeRemoval({
                state: wanted,
                driver: prepared.driver,
                context,
                leaving,
                staying: answering,
                up: entry.live,
                options: removal,
              }),
      hosts: hosts.hosts,
      setups,
      setUpAgain: options.setUpAgain === true,
      upgradeBatch: options.upgrade?.batch ?? 1,
      drainTimeoutMs: options.drainTimeoutMs ?? DEFAULT_DRAIN_MS,
      leftOut: new Set(absent.map(({ host }) => host.address)),
      appImages: await installedImages(store, wanted.applications),
      concurrentUploads: options.concurrentUploads ?? (options.fanOut ? 1 : DEFAULT_UPLOADS),
      fanOut: options.fanOut === true,
      readyTimeoutMs: options.readyTimeoutMs ?? DEFAULT_READY_MS,
      nodeTimeoutMs: options.readyTimeoutMs,
      reporter,
    });
    const report = preflight(present, rulesOf(prepared, wanted, before, absent));
    return await use({
      plan: makePlan(RUN_PHASES, work),
      work,
      report: {
        ...report,
        warnings: [
          ...report.warnings,
          ...prepared.pluginWarnings,
          ...hostnameWarnings(work, present),
          ...(options.upgrade === undefined ? changeWarnings(before) : []),
          ...documentWarnings(work, before),
          ...leavingWarnings(work),
        ],
        problems: [
          ...report.problems,
          ...(entry.problem === undefined ? [] : [entry.problem]),
          ...(outdated === undefined ? [] : [outdated]),
          ...installProblems(work),
          ...networkProblems(prepared, before),
          ...leavingProblems(all.slice(spec.hosts.length)),
          ...missingImages(
            before?.applications ?? [],
            work.hosts.flatMap(({ address, servesRegistry }) => (servesRegistry ? address : [])),
            work.appImages,
          ),
          ...(await removalProblems(work, before)),
          ...(options.upgrade === undefined ? staleProblems(work.setups, before) : []),
          ...(await upgradeProblems(work, before, entry.live)),
        ],
      },
      hosts,
      clusterState: withFacts(wanted, findings),
      leftOut: absent.map(({ failure }) => failure),
      absent: absent.map(({ host }) => host.address),
      silent: new Set(findings.flatMap((finding) => ('failure' in finding ? [finding.host.address] : []))),
    });
  } finally {
    for (const problem of await hosts.close()) reporter.warn(`the log is not complete: ${problem}`);
  }
}

function rulesOf(
  prepared: Prepared,
  { id, name }: ClusterState,
  before: ClusterState | undefined,
  absent: readonly HostFinding[],
): PreflightRules {
  const { spec, image, driver, networks } = prepared;
  return {
    running: before?.phase === 'running',
    clusterId: id,
    clusterName: name,
    architecture: image.platform.architecture,
    image: applicationFindings(image, launchCommands(spec, image)),
    hostnames: wantedHostnames(prepared.plugins),
    absent: before?.hosts.filter(({ address }) => absent.some(({ host }) => host.address === address)) ?? [],
    missingPrograms: driver.programs.filter((path) => !image.rootfs.entries.some((entry) => entry.path === path)),
    hostPrograms: hostPrograms(prepared),
    ports: (host) => [
      ...driver.ports(isMaster(host) ? 'master' : 'worker'),
      ...(registryHosts(prepared).includes(host.address) ? [spec.registry.port] : []),
    ],
    diskBytes: (host) => neededBytes(prepared, host),
    ...networks,
  };
}

/** What hosts must have themselves, because the image does not bring it. */
function hostPrograms({ driver, image }: Prepared): readonly string[] {
  return driver.hostPrograms.filter((name) => !image.rootfs.entries.some(({ path }) => path === `bin/${name}`));
}

/** A worker that does not answer is no reason not to go on with a cluster that was begun: it may be why the last run failed. */
function isAbsentWorker(finding: HostFinding): finding is Extract<HostFinding, { readonly failure: SlipwayError }> {
  return 'failure' in finding && finding.failure.code === 'E_HOST_UNREACHABLE' && !isMaster(finding.host);
}
