import { messageOf } from '../base/errors.js';
import { wantedHostnames } from './hooks/plugin-marks.js';
import type { HostFinding, PreflightReport } from './plan/preflight.js';
import { isSilence } from './removal.js';
import type { ClusterState } from './state/cluster-state.js';
import type { InstallWork } from './work.js';

/** Why the cluster cannot be taken to the version of the image. */
export async function upgradeProblems(
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
export function hostnameWarnings({ plugins, setups }: InstallWork, present: readonly HostFinding[]): readonly string[] {
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
export function changeWarnings(before: ClusterState | undefined): readonly string[] {
  if (before?.changing === undefined) return [];
  return [`the ${before.changing} to ${before.image.name} was not finished: nodes are drained and taken there now`];
}

/** Hosts that are to leave and do not let us in are there: taken for dead they would go on, and come back. */
export function leavingProblems(findings: readonly HostFinding[]): PreflightReport['problems'] {
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
export async function removalProblems(
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
