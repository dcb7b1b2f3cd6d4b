import { isSlipwayError, messageOf } from '../../base/errors.js';
import { formatBytes } from '../../base/format.js';
import type { InstalledFiles } from '../cluster-hosts/host-record.js';
import { MAX_SKEW_MS } from '../plan/preflight.js';
import { isMaster } from '../spec/cluster-spec.js';
import { type ClusterState, type HostState, registryServers } from '../state/cluster-state.js';
import { certificateFindings } from './certificates.js';
import { driftFindings } from './drift.js';
import { AGAIN, briefly, type CheckName, type Finding } from './finding.js';
import type { Disk, GatheredHost, UnitState } from './host-facts.js';

const LEAST_FREE_BYTES = 1024 ** 3;
const LEAST_FREE_SHARE = 0.1;

/** A host that was asked. */
export interface CheckedHost {
  readonly known: HostState;
  /** What was gathered, or why nothing could be. */
  readonly answer: GatheredHost | { readonly failure: unknown };
}

/** Units of our own: where they are, they run. */
const OWN_UNITS = ['slipway-apiserver.service', 'slipway-registry.service', 'slipway-registry-way.service'];

/** The units to ask for on a host of a cluster: those of the runtime, which it must have, and our own. */
export function unitsOf(runtime: string, master: boolean): readonly string[] {
  if (runtime === 'k0s') return [master ? 'k0scontroller.service' : 'k0sworker.service', ...OWN_UNITS];
  if (runtime === 'k3s') return [master ? 'k3s.service' : 'k3s-agent.service', ...OWN_UNITS];
  return ['containerd.service', 'kubelet.service', ...OWN_UNITS];
}

/** Everything that is wrong with a host, from what was gathered. Pure. */
export function hostFindings({ known, answer }: CheckedHost, state: ClusterState, nowMs: number): Finding[] {
  const { address } = known;
  if ('failure' in answer) return [unreachable(known, answer.failure, state.name)];
  const leaving = known.leaving === true ? leavingFindings(address, answer, state) : undefined;
  const misplaced = leaving ?? ownerFindings(address, answer, state);
  // Of a host that is not of this cluster nothing else is ours to judge.
  if (misplaced !== undefined) return misplaced;
  return [
    ...clockFindings(address, answer.clockSkewMs),
    ...diskFindings(address, answer.disks),
    ...unitFindings(address, answer.units),
    ...driftFindings(address, answer),
    ...installedFindings(address, answer.installed),
    ...registryFindings(address, answer.registry, state.registry),
    ...certificateFindings(address, answer.certificates, nowMs),
  ];
}

function unreachable({ address, roles }: HostState, failure: unknown, cluster: string): Finding {
  const [line = ''] = messageOf(failure).split('\n', 1);
  return problem(
    address,
    'reachable',
    'the host does not answer',
    line.replace(`host ${address}: `, '').replace(/, while running [^,]*$/, ''),
    `${(isSlipwayError(failure) ? failure.hint : undefined) ?? 'mend the connection'}; if it is gone for good: ${takeOut(address, roles, cluster)} --forget`,
  );
}

/** The command that takes a host out. */
export function takeOut(address: string, roles: HostState['roles'], cluster: string): string {
  return `slipway delete --cluster ${cluster} --${isMaster({ roles }) ? 'masters' : 'nodes'} ${address}`;
}

function leavingFindings(
  address: string,
  { owner }: GatheredHost,
  { id, name }: Pick<ClusterState, 'id' | 'name'>,
): Finding[] {
  if (owner?.id !== id) return [];
  return [
    warning(
      address,
      'owner',
      'the host is not clean',
      `it was taken out of ${name}, and what Slipway put there is still on it`,
      'run the command again that took it out',
    ),
  ];
}

/** Whether a host says that it is ours; undefined when it does. Pure. */
export function ownerFindings(
  address: string,
  { owner }: Pick<GatheredHost, 'owner'>,
  { id, name, foreign }: Pick<ClusterState, 'id' | 'name' | 'foreign'>,
): Finding[] | undefined {
  if (owner === undefined && foreign === true) return undefined;
  if (owner === undefined) {
    return [
      problem(
        address,
        'owner',
        `nothing of cluster ${name} is on the host`,
        'it was never begun, was reset from elsewhere, or is a new machine with the old address',
        `${AGAIN}: what is missing is done`,
      ),
    ];
  }
  if (owner.id === id) return undefined;
  return [
    problem(
      address,
      'owner',
      'the host belongs to another cluster',
      `it says that it is of ${owner.cluster} (${owner.id}), not of ${name} (${id})`,
      'see who took it, and reset it there, or take it out here',
    ),
  ];
}

/** Pure. */
export function clockFindings(address: string, skewMs: number): Finding[] {
  if (Math.abs(skewMs) <= MAX_SKEW_MS) return [];
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  return [
    problem(
      address,
      'clock',
      'the clock is wrong',
      `it is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} this machine's`,
      'set the clocks (chrony, ntpd): certificates, tokens and leases depend on them',
    ),
  ];
}

/** Pure. */
export function diskFindings(address: string, disks: readonly Disk[]): Finding[] {
  return disks
    .filter(({ freeBytes, totalBytes }) => freeBytes < LEAST_FREE_BYTES || freeBytes < totalBytes * LEAST_FREE_SHARE)
    .map(({ mount, freeBytes, totalBytes }) =>
      warning(
        address,
        'disk',
        `the file system of ${mount} is nearly full`,
        `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} are free`,
        'free some space or enlarge it: kubelet evicts pods from a full host',
      ),
    );
}

/** Pure. */
export function unitFindings(address: string, units: readonly UnitState[]): Finding[] {
  const stopped = units
    .filter(({ active }) => active !== 'active')
    .filter(({ unit, load }) => !OWN_UNITS.includes(unit) || load !== 'not-found')
    .map(({ unit, load, active, sub }) =>
      problem(
        address,
        'services',
        `${unit} is not active`,
        load === 'loaded' ? `it is ${active} (${sub})` : `systemd says of it: ${load}`,
        load === 'loaded'
          ? `start it with "systemctl start ${unit}"; "journalctl -u ${unit}" says why it ended`
          : `${AGAIN}: what is missing is done`,
      ),
    );
  const waiting = units
    .filter(({ active, file }) => active === 'active' && (file === 'disabled' || file === 'masked'))
    .map(({ unit, file }) =>
      warning(
        address,
        'services',
        `${unit} does not start with the host`,
        `it runs, and is ${file}`,
        `${file === 'masked' ? `"systemctl unmask ${unit}", then ` : ''}"systemctl enable ${unit}"`,
      ),
    );
  return [...stopped, ...waiting];
}

/**
 * What scripts of the image have put elsewhere on the host. Nothing brings it back by itself: what is missing or another one may be so on
 * purpose (the network of an add-on instead of the image's). Pure.
 */
export function installedFindings(address: string, { missing, changed }: InstalledFiles): Finding[] {
  const fix = `if nobody meant it: ${AGAIN}, with --set-up-again: what was changed is kept in /var/lib/slipway/host/edited`;
  const told = (report: typeof problem, paths: readonly string[], one: string, several: string): Finding[] =>
    paths.length === 0
      ? []
      : [
          {
            ...report(
              address,
              'installed',
              paths.length === 1 ? `1 installed file ${one}` : `${paths.length} installed files ${several}`,
              briefly(paths, ', '),
              fix,
            ),
            items: paths,
          },
        ];
  return [
    ...told(problem, missing, 'is missing', 'are missing'),
    ...told(warning, changed, 'was changed', 'were changed'),
  ];
}

/** Pure. */
export function registryFindings(
  address: string,
  answer: string | undefined,
  registry: ClusterState['registry'],
): Finding[] {
  if (answer === undefined || answer === '') return [];
  const { domain, port, external } = registry;
  const servers = registryServers({ registry });
  const where = servers.length > 0 ? servers.join(', ') : 'the first master';
  return [
    problem(
      address,
      'registry',
      `the registry ${domain}:${port} does not answer this host`,
      answer,
      external === true
        ? 'see that it runs, and that the host finds its name ("getent hosts")'
        : `see on ${where} that it runs ("systemctl status slipway-registry"), and here that /etc/hosts has its name`,
    ),
  ];
}

function problem(host: string, check: CheckName, what: string, why: string, fix: string): Finding {
  return { severity: 'problem', host, check, what, why, fix };
}

function warning(host: string, check: CheckName, what: string, why: string, fix: string): Finding {
  return { severity: 'warning', host, check, what, why, fix };
}
