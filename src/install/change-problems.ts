import { messageOf } from '../base/errors.js';
import { wantedHostnames } from './hooks/plugin-marks.js';
import type { HostFinding, PreflightReport } from './plan/preflight.js';
import type { Prepared } from './prepare.js';
import { isSilence } from './removal.js';
import { isMaster } from './spec/cluster-spec.js';
import type { ClusterState } from './state/cluster-state.js';
import { keepableDocuments } from './state/kept-spec.js';
import type { InstallWork } from './work.js';

/** Why the version of the image cannot be installed as it is wanted, whatever the hosts are like. */
export function installProblems({ driver, cluster, image }: InstallWork): PreflightReport['problems'] {
  const found = driver.installProblem?.(cluster);
  if (found === undefined) return [];
  const problem = found.inDocuments === true ? found.problem : `${image.name}: ${found.problem}`;
  return [{ host: undefined, problem, hint: found.hint }];
}

/** Why the cluster cannot be taken to the version of the image. */
export async function upgradeProblems(
  { driver, image, entry, cluster, hosts, setups, changing }: InstallWork,
  before: ClusterState | undefined,
  live: boolean,
): Promise<PreflightReport['problems']> {
  const other = changing || [...setups.values()].some((setup) => setup !== undefined && setup.image !== image.digest);
  if (before?.phase !== 'running' || !other) return [];
  // An upgrade that was killed has left the one master stopped: what begins a cluster starts it, and the upgrade goes on.
  const stopped = !live && before.changing !== undefined && (await driver.stopped?.(entry.host)) === true;
  if (!live && !stopped) {
    return [
      {
        host: undefined,
        problem: 'no API server answers, and without one nodes cannot be upgraded',
        hint: `wait until one does, or mend it ("journalctl -u ${driver.nodeUnit('master')}" on ${entry.address}), then run the same command again`,
      },
    ];
  }
  const problem = await driver.upgradeProblem(cluster).catch((error: unknown) => messageOf(error));
  const nodes = stopped ? [] : await driver.nodes(entry.host, cluster);
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

/**
 * Why what is known here of the cluster is not how it is: nodes were set up from another image, and no change that was begun here says why.
 * Somebody took it there from another machine, and a command that may not change the image would take it back. Pure.
 */
export function staleProblems(
  setups: InstallWork['setups'],
  before: Pick<ClusterState, 'name' | 'phase' | 'image' | 'version' | 'changing' | 'hosts'> | undefined,
): PreflightReport['problems'] {
  if (before?.phase !== 'running' || before.changing !== undefined) return [];
  const others = [...setups].flatMap(([address, setup]) =>
    setup === undefined || setup.image === before.image.digest ? [] : [{ address, setup }],
  );
  const [first] = others;
  if (first === undefined) return [];
  const { name, image, version, hosts } = before;
  const masters = hosts.filter((host) => isMaster(host) && host.leaving !== true).map(({ address }) => address);
  return [
    {
      host: undefined,
      problem: `${others.map(({ address }) => address).join(', ')} set up from another image (${first.setup.version}, ${first.setup.image}) than is known here of cluster ${name}, ${image.name} (${version}): it was changed from another machine`,
      hint: `let the hosts say how it is: slipway gen --cluster ${name} --masters ${masters.join(',')} --force; or "slipway apply" takes it to the image that it is given`,
    },
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

/** Networks stay as long as the cluster: nodes and services have addresses of them. */
export function networkProblems(
  { driver, networks, spec }: Pick<Prepared, 'driver' | 'networks' | 'spec'>,
  before: ClusterState | undefined,
): PreflightReport['problems'] {
  if (before?.phase !== 'running' || before.notKept.some((one) => one.startsWith('document '))) return [];
  const had = driver.networks(before.documents);
  const changed = [['pods', 'podCIDR'] as const, ['services', 'serviceCIDR'] as const].filter(
    ([, network]) => had[network] !== networks[network],
  );
  return changed.map(([what, network]) => ({
    host: undefined,
    problem: `the network of ${what} of cluster ${spec.name} is ${had[network]}, and would be ${networks[network]}`,
    hint: 'a cluster that is up cannot be given another one: write it as it was; or launch another cluster with it',
  }));
}

/** Settings that a cluster that is up does not take over, and whoever changed them would wait for. */
export function documentWarnings(
  { driver, spec, cluster }: InstallWork,
  before: ClusterState | undefined,
): readonly string[] {
  const unknown = driver.unknownFields?.(cluster) ?? [];
  // What was left out because of a secret in it cannot be compared.
  if (before?.phase !== 'running' || before.notKept.some((one) => one.startsWith('document '))) return unknown;
  const ignored = driver.ignoredChange?.(before.configDocuments, keepableDocuments(spec.configDocuments));
  return ignored === undefined ? unknown : [...unknown, ignored];
}

/** Hosts that leave and of which no step speaks: the cluster has no node of them, and nobody cleans a host that does not answer. */
export function leavingWarnings({ removal, spec }: Pick<InstallWork, 'removal' | 'spec'>): readonly string[] {
  return (removal?.leaving ?? [])
    .filter(({ traces }) => traces === undefined)
    .map(({ address }) => `${address} leaves cluster ${spec.name}; it does not answer, and is not cleaned`);
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
