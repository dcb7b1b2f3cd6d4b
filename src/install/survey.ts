import { messageOf, type SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import { onHosts } from '../hosts/host-group.js';
import type { Platform } from '../image/platform.js';
import type { RemoveOptions } from '../runtime/driver.js';
import type { Store } from '../store/store.js';
import { installedImages, missingImages } from './apps/installed-images.js';
import { type Connect, type HostSet, lookAtHosts, openHosts, sshConnect } from './cluster-hosts/connect-hosts.js';
import { readSetup } from './cluster-hosts/host-setup.js';
import { applicationFindings, launchCommands } from './files/applications.js';
import { loadInstallImage } from './files/install-image.js';
import { wantedHostnames } from './hooks/plugin-marks.js';
import { makePlan, type Plan } from './plan/plan.js';
import {
  type HostFinding,
  type PreflightProblem,
  type PreflightReport,
  type PreflightRules,
  preflight,
} from './plan/preflight.js';
import { makeWork, neededBytes, type Prepared, prepare, registryHosts } from './prepare.js';
import { isSilence, type LeavingHost, makeRemoval } from './removal.js';
import { RUN_PHASES } from './run-phases.js';
import { type ClusterSpec, isMaster } from './spec/cluster-spec.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import { hostPaths, type StatePaths } from './state/cluster-paths.js';
import { type ClusterState, readClusterState } from './state/cluster-state.js';
import { registerSecretVariables } from './state/kept-spec.js';
import { nextState, withFacts } from './state/next-state.js';
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
  spec: ClusterSpec,
  state: StatePaths,
  options: SurveyOptions,
  { store, reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (survey: Survey) => Promise<T>,
): Promise<T> {
  registerSecretVariables(spec);
  const image = await loadInstallImage(store, spec.image, options.platform);
  if (image.rootfs.skipped.length > 0) {
    reporter.warn(`devices and FIFOs of the image are not sent to hosts: ${image.rootfs.skipped.join(', ')}`);
  }
  const prepared = await prepare(spec, image);
  const before = await readClusterState(state);
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
    const all = await lookAtHosts([...spec.hosts, ...leavingSpecs], hosts, spec.dataRoot, { concurrency, signal });
    signal.throwIfAborted();
    const findings = all.slice(0, spec.hosts.length);
    const absent = before === undefined ? [] : findings.filter(isAbsentWorker);
    const present = findings.filter((finding) => !absent.some(({ host }) => host === finding.host));
    const leaving = all.slice(spec.hosts.length).flatMap((finding): LeavingHost[] => {
      const { address } = finding.host;
      const host = hosts.hosts.get(address);
      return host === undefined ? [] : [{ address, host, traces: 'traces' in finding ? finding.traces : undefined }];
    });
    const entry = await findEntry(prepared, before, present, hosts);
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
                staying: present.flatMap(({ host }) => hosts.hosts.get(host.address) ?? []),
                up: entry.live,
                options: removal,
              }),
      hosts: hosts.hosts,
      setups: before === undefined ? new Map() : await findSetups(prepared, present, hosts, concurrency),
      upgradeBatch: options.upgrade?.batch ?? 1,
      drainTimeoutMs: options.drainTimeoutMs ?? DEFAULT_DRAIN_MS,
      leftOut: new Set(absent.map(({ host }) => host.address)),
      appImages: await installedImages(store, wanted.applications),
      concurrentUploads: options.concurrentUploads ?? (options.fanOut ? 1 : DEFAULT_UPLOADS),
      fanOut: options.fanOut === true,
      readyTimeoutMs: options.readyTimeoutMs ?? DEFAULT_READY_MS,
      reporter,
    });
    const report = preflight(present, rulesOf(prepared, wanted, before));
    return await use({
      plan: makePlan(RUN_PHASES, work),
      work,
      report: {
        ...report,
        warnings: [
          ...report.warnings,
          ...prepared.pluginWarnings,
          ...hostnameWarnings(work, present),
          ...changeWarnings(before, options),
        ],
        problems: [
          ...report.problems,
          ...(entry.problem === undefined ? [] : [entry.problem]),
          ...leavingProblems(all.slice(spec.hosts.length)),
          ...missingImages(
            before?.applications ?? [],
            work.hosts.flatMap(({ address, servesRegistry }) => (servesRegistry ? address : [])),
            work.appImages,
          ),
          ...(await removalProblems(work, before)),
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

/** The master that is asked, and whether it answers. */
interface Entry {
  readonly address: string | undefined;
  readonly live: boolean;
  /** Why none of the masters can be. */
  readonly problem: PreflightProblem | undefined;
}

/**
 * The master through which a cluster is asked. The first that answers; else one that is whole, which is revived. Where one is whole, or the
 * cluster was up, none that is not is ever taken for it: `kubeadm init` there would begin another cluster, which the others would be
 * made to join.
 */
async function findEntry(
  { spec, driver }: Prepared,
  before: ClusterState | undefined,
  present: readonly HostFinding[],
  { hosts }: HostSet,
): Promise<Entry> {
  if (before === undefined) return { address: undefined, live: false, problem: undefined };
  const masters = present
    .filter((finding) => 'facts' in finding && isMaster(finding.host))
    .flatMap(({ host }) => hosts.get(host.address) ?? []);
  const live = await driver.liveMaster(masters, hostPaths(spec.dataRoot, spec.name).rootfs);
  if (live !== undefined) return { address: live.address, live: true, problem: undefined };
  const [whole] = await driver.wholeMasters(masters);
  const lost = whole === undefined && before.phase === 'running' && masters.length > 0;
  return {
    address: whole?.address,
    live: false,
    problem: lost
      ? {
          host: undefined,
          problem: `cluster ${spec.name} was up, and none of its masters (${masters.map(({ address }) => address).join(', ')}) has it any more`,
          hint: `if they were installed anew: slipway reset --cluster ${spec.name}, then run the same command again`,
        }
      : undefined,
  };
}

/** How hosts were set up on which there is Kubernetes already. */
async function findSetups(
  { spec }: Prepared,
  present: readonly HostFinding[],
  { hosts }: HostSet,
  concurrency: number,
): Promise<InstallWork['setups']> {
  const paths = hostPaths(spec.dataRoot, spec.name);
  const members = present
    .filter((finding) => 'traces' in finding && finding.traces.kubernetes.length > 0)
    .flatMap(({ host }) => hosts.get(host.address) ?? []);
  const setups = await onHosts(members, (host) => readSetup(host, paths), { concurrency });
  return new Map(members.map(({ address }, index) => [address, setups[index]]));
}

/** Why the cluster cannot be taken to the version of the image. */
async function upgradeProblems(
  { driver, image, entry, cluster, hosts, setups, changing }: InstallWork,
  before: ClusterState | undefined,
  live: boolean,
): Promise<PreflightReport['problems']> {
  const other = changing || [...setups.values()].some((setup) => setup !== undefined && setup.image !== image.digest);
  if (before?.phase !== 'running' || !other) return [];
  if (!live) {
    return [
      {
        host: undefined,
        problem: 'no API server answers, and without one nodes cannot be upgraded',
        hint: `wait until one does, or mend it ("journalctl -u ${driver.nodeUnit('master')}" on ${entry.address}), then run the same command again`,
      },
    ];
  }
  const problem = await driver.upgradeProblem(cluster).catch((error: unknown) => messageOf(error));
  const nodes = await driver.nodes(entry.host, cluster);
  // Not of those that are upgraded: one that an upgrade was at when it stopped becomes Ready by it.
  const broken = changing
    ? []
    : hosts.filter(({ address }) => {
        const node = nodes.find(({ addresses }) => addresses.includes(address));
        return node?.ready === false && setups.get(address)?.image === image.digest;
      });
  return [
    ...(problem === undefined
      ? []
      : [
          {
            host: undefined,
            problem,
            hint: 'go by way of the versions in between; a node that was left behind: take it out with "slipway delete", and join it again',
          },
        ]),
    ...broken.map(({ address, master }) => ({
      host: address,
      problem: 'its node is not Ready, and an upgrade stops others',
      hint: `mend it first ("journalctl -u ${driver.nodeUnit(master ? 'master' : 'worker')}" on ${address}), or take it out with "slipway delete"`,
    })),
  ];
}

/** The name of a node is that of its host when it joined, and stays. */
function hostnameWarnings({ plugins, setups }: InstallWork, present: readonly HostFinding[]): readonly string[] {
  const names = wantedHostnames(plugins);
  return present.flatMap((finding) => {
    const { address } = finding.host;
    const name = names.get(address);
    if (!('facts' in finding) || name === undefined || name === finding.facts.hostname || !setups.has(address))
      return [];
    return [
      `${address} is a node and stays ${finding.facts.hostname}: to be called ${name} it must leave the cluster and join again`,
    ];
  });
}

/** Whoever adds a host need not know that somebody else's upgrade was stopped. */
function changeWarnings(before: ClusterState | undefined, { upgrade }: SurveyOptions): readonly string[] {
  if (before?.changing === undefined || upgrade !== undefined) return [];
  return [`the ${before.changing} to ${before.image.name} was not finished: nodes are drained and taken there now`];
}

/** Hosts that are to leave and do not let us in are there: taken for dead they would go on, and come back. */
function leavingProblems(findings: readonly HostFinding[]): PreflightReport['problems'] {
  return findings.flatMap((finding) =>
    'failure' in finding && !isSilence(finding.failure)
      ? [
          {
            host: finding.host.address,
            problem: finding.failure.message,
            hint: finding.failure.hint ?? 'mend the login, so that it can be taken out and cleaned',
          },
        ]
      : [],
  );
}

/** Why the hosts that are wanted no more cannot be taken out. */
async function removalProblems(
  { removal, driver }: InstallWork,
  before: ClusterState | undefined,
): Promise<PreflightReport['problems']> {
  if (removal === undefined || before?.phase !== 'running') return [];
  const leaving = removal.leaving.map(({ host }) => host);
  const problem = removal.up
    ? await driver.removalProblem(leaving, removal.context).catch((error: unknown) => messageOf(error))
    : 'no master that is to stay answers';
  if (problem === undefined) return [];
  const list = leaving.map(({ address }) => address).join(', ');
  return [
    {
      host: undefined,
      problem: `${list} cannot be taken out of the cluster: ${problem}`,
      hint: 'bring the other masters up first; a master that is to be replaced goes when its replacement has joined',
    },
  ];
}

function rulesOf(prepared: Prepared, { id, name }: ClusterState, before: ClusterState | undefined): PreflightRules {
  const { spec, image, driver, networks } = prepared;
  return {
    running: before?.phase === 'running',
    clusterId: id,
    clusterName: name,
    architecture: image.platform.architecture,
    image: applicationFindings(image, launchCommands(spec, image)),
    hostnames: wantedHostnames(prepared.plugins),
    missingPrograms: driver.programs.filter((path) => !image.rootfs.entries.some((entry) => entry.path === path)),
    ports: (host) => [
      ...driver.ports(isMaster(host) ? 'master' : 'worker'),
      ...(registryHosts(prepared).includes(host.address) ? [spec.registry.port] : []),
    ],
    diskBytes: (host) => neededBytes(prepared, host),
    ...networks,
  };
}

/** A worker that does not answer is no reason not to go on with a cluster that was begun: it may be why the last run failed. */
function isAbsentWorker(finding: HostFinding): finding is Extract<HostFinding, { readonly failure: SlipwayError }> {
  return 'failure' in finding && finding.failure.code === 'E_HOST_UNREACHABLE' && !isMaster(finding.host);
}
