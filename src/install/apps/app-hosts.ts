import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { driverOf } from '../cluster-hosts/ask-cluster.js';
import { type HostSet, lookAtHosts, openHosts, sshConnect } from '../cluster-hosts/connect-hosts.js';
import type { HostFinding, PreflightProblem } from '../plan/preflight.js';
import { isSilence } from '../removal.js';
import { isMaster } from '../spec/cluster-spec.js';
import type { SshFlags } from '../spec/spec-from-flags.js';
import { hostPaths, type StatePaths } from '../state/cluster-paths.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';
import { outdatedProblem } from '../state/kept-on-masters.js';
import { hostFromState } from '../state/spec-from-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from '../survey.js';

/** How the hosts of a cluster are reached for an application. */
export interface AppOptions {
  readonly ssh: SshFlags;
  readonly concurrency?: number;
  readonly again?: string;
}

/** A host of the cluster that answers, and lets us in. */
export interface AppHost {
  readonly address: string;
  readonly known: HostState;
  readonly host: Host;
  readonly finding: Extract<HostFinding, { readonly facts: unknown }>;
}

/** The hosts of a cluster as they were found. */
export interface AppHosts {
  readonly set: HostSet;
  readonly driver: RuntimeDriver;
  readonly up: readonly AppHost[];
  /** Those that say nothing, and why. */
  readonly silent: readonly SlipwayError[];
  readonly silentAddresses: ReadonlySet<string>;
  /** The first master that answers; commands are run on it. */
  readonly entry: AppHost | undefined;
  readonly problems: readonly PreflightProblem[];
}

/** @throws SlipwayError E_CLUSTER_STATE for a cluster on which nothing can be installed. */
export function assertRunning({ name, phase }: ClusterState): void {
  if (phase === 'running') return;
  throw new SlipwayError(
    'E_CLUSTER_STATE',
    phase === 'resetting' ? `cluster ${name} is half taken away` : `cluster ${name} is not up yet`,
    {
      hint:
        phase === 'resetting'
          ? `finish that: slipway reset --cluster ${name}`
          : 'give the command again that launches it ("slipway run", "slipway apply"), which goes on where it stopped',
    },
  );
}

/** Connects to the hosts of a cluster and looks at them; `use` gets what was found, while the connections are open. */
export async function withAppHosts<T>(
  state: ClusterState,
  { logs }: Pick<StatePaths, 'logs'>,
  { ssh, concurrency = DEFAULT_CONCURRENCY }: AppOptions,
  { reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (hosts: AppHosts) => Promise<T>,
): Promise<T> {
  const known = state.hosts.filter(({ leaving }) => leaving !== true);
  const specs = known.map((host) => hostFromState(host, ssh));
  const set = await openHosts(specs, logs, connect);
  try {
    const findings = await lookAtHosts(specs, set, state.dataRoot, { concurrency, signal });
    signal.throwIfAborted();
    const up = findings.flatMap((finding, index): AppHost[] => {
      const host = set.hosts.get(finding.host.address);
      const of = known[index];
      if (!('facts' in finding) || host === undefined || of === undefined) return [];
      return [{ address: host.address, known: of, host, finding }];
    });
    const driver = await driverOf(state);
    const masters = up.filter(({ known: one }) => isMaster(one)).map(({ host }) => host);
    const [live, outdated] = await Promise.all([
      driver.liveMaster(masters, hostPaths(state.dataRoot, state.name).rootfs),
      outdatedProblem(masters, state),
    ]);
    const failures = findings.flatMap((finding) => ('failure' in finding ? [finding] : []));
    const silent = failures.filter(({ failure }) => isSilence(failure));
    return await use({
      set,
      driver,
      up,
      silent: silent.map(({ failure }) => failure),
      silentAddresses: new Set(failures.map(({ host }) => host.address)),
      entry: up.find(({ host }) => host === live),
      problems: [
        ...failures
          .filter((one) => !silent.includes(one))
          .map(({ host, failure }) => ({
            host: host.address,
            problem: failure.message,
            hint: failure.hint ?? 'mend the login',
          })),
        ...strangers(up, state),
        ...(outdated === undefined ? [] : [outdated]),
      ],
    });
  } finally {
    for (const problem of await set.close()) reporter.warn(`the log is not complete: ${problem}`);
  }
}

/** The masters among the hosts that answer. */
export function mastersUp({ up }: Pick<AppHosts, 'up'>): readonly Host[] {
  return up.filter(({ known }) => isMaster(known)).map(({ host }) => host);
}

/** Hosts that do not say that they are of this cluster. */
function strangers(up: readonly AppHost[], { id, name }: ClusterState): readonly PreflightProblem[] {
  return up.flatMap(({ address, finding }) => {
    const { owners } = finding.traces;
    if (owners.some((owner) => owner.id === id)) return [];
    const [other] = owners;
    return [
      {
        host: address,
        problem:
          other === undefined ? `nothing of cluster ${name} is on it` : `it belongs to the cluster ${other.cluster}`,
        hint: `"slipway status --cluster ${name}" shows how its hosts are; "slipway apply" mends them`,
      },
    ];
  });
}

/** Why commands can be run nowhere. */
export function noMasterProblem({ name }: ClusterState): PreflightProblem {
  return {
    host: undefined,
    problem: `no master of cluster ${name} answers`,
    hint: 'bring one up first; "slipway status" shows what is wrong with them',
  };
}

/** A failure that a person chose to go on after. */
export function isInterruption(error: unknown): boolean {
  return isSlipwayError(error, 'E_INTERRUPTED') || isSlipwayError(error, 'E_LOCKED');
}

/** The first line of a failure. */
export function inOneLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}
