import { SlipwayError } from '../../base/errors.js';
import { formatBytes } from '../../base/format.js';
import type { HostFacts } from '../../hosts/host.js';
import type { ClusterTraces } from '../cluster-hosts/host-owner.js';
import { rangeContains } from '../spec/cidr.js';
import { type HostSpec, isMaster } from '../spec/cluster-spec.js';
import { NODE_NAME } from '../spec/node-marks.js';

/** What was found on a host, or why nothing could be. */
export type HostFinding =
  | { readonly host: HostSpec; readonly facts: HostFacts; readonly traces: ClusterTraces }
  | { readonly host: HostSpec; readonly failure: SlipwayError };

/** What the hosts are measured against. */
export interface PreflightRules {
  /** The cluster is up: a host that does not answer may also leave it. */
  readonly running?: boolean;
  /** Programs of the rootfs that the runtime needs and the image lacks. */
  readonly missingPrograms: readonly string[];
  /** Programs that a host needs besides {@link NEEDED_PROGRAMS} once its scripts have run. */
  readonly hostPrograms: readonly string[];
  /** Names that hosts get before they become nodes, by their addresses. */
  readonly hostnames?: ReadonlyMap<string, string>;
  /** Hosts of the cluster that do not answer and are left out, as they were when they last did. */
  readonly absent?: readonly (Pick<HostSpec, 'address'> & Pick<HostFacts, 'hostname' | 'machineId'>)[];
  /** What else was found wrong with the image. */
  readonly image?: Pick<PreflightReport, 'problems' | 'warnings'>;
  readonly clusterId: string;
  readonly clusterName: string;
  /** GOARCH of the image. */
  readonly architecture: string;
  /** TCP ports that a host needs. */
  ports(host: HostSpec): readonly number[];
  /** Bytes that the installation takes on a host. */
  diskBytes(host: HostSpec): number;
  readonly podCIDR: string;
  readonly serviceCIDR: string;
}

/** What the look at the hosts gave. A problem stops the work before anything is changed. */
export interface PreflightReport {
  readonly problems: readonly PreflightProblem[];
  readonly warnings: readonly string[];
  /** Worth knowing, and dealt with. */
  readonly notes: readonly string[];
}

export interface PreflightProblem {
  /** Undefined when it is about several hosts. */
  readonly host: string | undefined;
  readonly problem: string;
  readonly hint: string;
}

/** Programs of a host that nothing works without. */
export const NEEDED_PROGRAMS = ['bash', 'tar', 'gzip', 'sha256sum', 'find', 'systemctl', 'awk', 'flock'] as const;

/** Certificates, tokens and leases do not work with clocks that differ more. */
export const MAX_SKEW_MS = 30_000;

type Found = Extract<HostFinding, { readonly facts: HostFacts }>;

/** Finds everything that would make the work fail, on all hosts at once, from what was gathered. Pure. */
export function preflight(findings: readonly HostFinding[], rules: PreflightRules): PreflightReport {
  const found = findings.filter((finding): finding is Found => 'facts' in finding);
  const masters = findings.filter(({ host }) => isMaster(host)).length;
  return {
    problems: [
      ...rules.missingPrograms.map((path) =>
        problem(
          undefined,
          `the image has no ${path}`,
          'build it FROM a base image that has, such as basefs/kubernetes',
        ),
      ),
      ...(rules.image?.problems ?? []),
      ...findings.flatMap((finding) =>
        'failure' in finding
          ? [problem(finding.host.address, finding.failure.message, unreachableHint(finding, rules))]
          : hostProblems(finding, rules),
      ),
      ...sharedProblems(found, rules),
    ],
    warnings: [
      ...(rules.image?.warnings ?? []),
      ...(masters % 2 === 0 && masters > 0
        ? [`${masters} masters: an even number of etcd members survives no more failures than ${masters - 1} would`]
        : []),
      ...hostPrograms(found, rules),
    ],
    notes: oomNotes(found.filter(({ traces }) => !traces.mayLowerOomScore)),
  };
}

/** No reason to refuse: the scripts of an image may install them. */
function hostPrograms(found: readonly Found[], { hostPrograms: wanted }: PreflightRules): string[] {
  return wanted.flatMap((name) => {
    const without = found.filter(({ facts }) => !facts.programs.includes(name)).map(({ host }) => host.address);
    return without.length === 0
      ? []
      : [`${without.join(', ')}: no ${name}, which Kubernetes needs: install it, unless the scripts of the image do`];
  });
}

/** Once for all: it is the same for many, or for none. */
function oomNotes(found: readonly Found[]): string[] {
  if (found.length === 0) return [];
  const addresses = found.map(({ host }) => host.address).join(', ');
  return [`${addresses}: no CAP_SYS_RESOURCE; containers keep the oom scores they are given`];
}

/** One error that lists all problems. */
export function preflightError(problems: readonly PreflightProblem[]): SlipwayError {
  const lines = problems.map(({ host, problem: text, hint }) => {
    const named = host === undefined || text.includes(host) ? text : `${host}: ${text}`;
    return `  ${named.replaceAll('\n', '\n  ')}\n    ${hint}`;
  });
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  return new SlipwayError('E_PREFLIGHT', `${count}; nothing was changed on any host\n${lines.join('\n')}`, {
    hint: 'mend these, then run the same command again',
    details: { problems },
  });
}

function unreachableHint(
  { host, failure }: Extract<HostFinding, { readonly failure: SlipwayError }>,
  { running = false, clusterName }: PreflightRules,
): string {
  const hint = failure.hint ?? 'mend the connection';
  if (!running || failure.code !== 'E_HOST_UNREACHABLE') return hint;
  const flag = isMaster(host) ? '--masters' : '--nodes';
  return `${hint}; or take it out of the cluster: slipway delete --cluster ${clusterName} ${flag} ${host.address}`;
}

function problem(host: string | undefined, text: string, hint: string): PreflightProblem {
  return { host, problem: text, hint };
}

function hostProblems({ host, facts, traces }: Found, rules: PreflightRules): PreflightProblem[] {
  const { address } = host;
  const problems: PreflightProblem[] = [];
  const add = (text: string, hint: string): void => {
    problems.push(problem(address, text, hint));
  };
  const ours = traces.owners.some(({ id }) => id === rules.clusterId);
  const foreign = traces.owners.filter(({ id }) => id !== rules.clusterId);

  if (facts.uid !== 0) add(`commands run as uid ${facts.uid}, not as root`, 'let the user become root with sudo');
  if (!facts.systemd) add('systemd does not run', 'Slipway needs hosts with systemd');
  const missing = NEEDED_PROGRAMS.filter((name) => !facts.programs.includes(name));
  if (missing.length > 0)
    add(`missing programs: ${missing.join(', ')}`, 'install them with the package manager of the host');
  if (facts.architecture !== rules.architecture) {
    add(
      `its architecture is ${facts.architecture}, the image is for ${rules.architecture}`,
      `use an image that was built with --platform linux/${facts.architecture}`,
    );
  }
  if (Math.abs(facts.clockSkewMs) > MAX_SKEW_MS) {
    const seconds = Math.round(facts.clockSkewMs / 1000);
    add(
      `its clock is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} this machine's`,
      'set the clocks (chrony, ntpd): certificates and tokens depend on them',
    );
  }
  const name = hostnameOf({ host, facts, traces }, rules);
  if (!NODE_NAME.test(name) || name === 'localhost') {
    add(
      `its hostname ${JSON.stringify(name)} cannot name a node`,
      'set another one with hostnamectl: lower-case letters, digits, "-" and "."',
    );
  }
  if (/^127\.|^::1$/.test(address)) {
    add(`${address} is no address that other hosts can reach`, 'give the host an address in a network');
  } else if (!traces.addresses.includes(address)) {
    add(
      `none of its interfaces has the address ${address} (it has ${traces.addresses.join(', ')})`,
      'give the address that the host has itself, not one that is translated on the way',
    );
  }
  for (const { cluster, id } of foreign) {
    add(
      cluster === rules.clusterName
        ? `it belongs to another cluster that is named ${cluster} too (${id})`
        : `it belongs to the cluster ${cluster}`,
      `is the address right? what is there: "slipway status --cluster ${cluster}"; "slipway delete" takes the host out of it, "slipway reset" ends all of it`,
    );
  }
  if (!ours && foreign.length === 0 && traces.kubernetes.length > 0) {
    add(
      `there is Kubernetes on it that Slipway did not install: ${traces.kubernetes.join(', ')}`,
      'remove it (kubeadm reset, k3s-uninstall.sh, k0s reset), or take another host',
    );
  }
  const ports = rules.ports(host);
  const twice = ports.filter((port, index) => ports.indexOf(port) !== index);
  if (twice.length > 0) {
    add(
      `port ${twice.join(', ')} is to be that of the registry, and Kubernetes needs it itself`,
      'choose another port for the registry (registry.localRegistry.port)',
    );
  }
  const taken = ours || foreign.length > 0 ? [] : ports.filter((port) => facts.listeningPorts.includes(port));
  if (taken.length > 0) {
    add(
      `${taken.length === 1 ? 'port' : 'ports'} ${taken.join(', ')} already in use`,
      `see what listens there with "ss -tlnp" on the host, and stop it`,
    );
  }
  // A host that is ours has its files already, or most of them.
  const needed = ours ? 0 : rules.diskBytes(host);
  if (facts.diskFreeBytes < needed) {
    add(
      `${formatBytes(facts.diskFreeBytes)} of disk are free, ${formatBytes(needed)} are needed`,
      'free some space, or enlarge the file system',
    );
  }
  for (const [name, range] of [
    ['pods', rules.podCIDR],
    ['services', rules.serviceCIDR],
  ] as const) {
    if (rangeContains(range, address)) {
      add(
        `its address is inside the network of ${name}, ${range}`,
        'choose another network for them in a ClusterConfiguration (networking.podSubnet, networking.serviceSubnet)',
      );
    }
  }
  return problems;
}

/** A host that is no node yet gets the name that is wanted before it becomes one. */
function hostnameOf({ host, facts, traces }: Found, { hostnames }: PreflightRules): string {
  return (traces.kubernetes.length === 0 ? hostnames?.get(host.address) : undefined) ?? facts.hostname;
}

function sharedProblems(found: readonly Found[], rules: PreflightRules): PreflightProblem[] {
  const clashes = (what: string, keyOf: (one: Found) => string, hint: string): PreflightProblem[] => {
    const groups = new Map<string, string[]>();
    for (const one of found) {
      const value = keyOf(one);
      if (value !== '') groups.set(value, [...(groups.get(value) ?? []), one.host.address]);
    }
    return [...groups]
      .filter(([, hosts]) => hosts.length > 1)
      .map(([value, hosts]) => problem(undefined, `${hosts.join(' and ')} have the same ${what} ${value}`, hint));
  };
  return [
    ...absentProblems(found, rules),
    ...clashes(
      'hostname',
      (one) => hostnameOf(one, rules),
      'give each host its own with hostnamectl set-hostname NAME',
    ),
    ...clashes(
      'machine-id',
      ({ facts }) => facts.machineId,
      'on a cloned host: rm /etc/machine-id && systemd-machine-id-setup, then reboot',
    ),
  ];
}

/** One that joins under the name of a host that is down would become the node of that one, and be two when it is back. */
function absentProblems(found: readonly Found[], rules: PreflightRules): PreflightProblem[] {
  const { absent = [], clusterName } = rules;
  return found.flatMap((one) => {
    const same = (what: string, mine: string, theirs: (typeof absent)[number]): PreflightProblem =>
      problem(
        one.host.address,
        `${one.host.address} has the same ${what} ${mine} as ${theirs.address}, which belongs to the cluster and does not answer`,
        `give it another one; or take the other host out first: slipway delete --cluster ${clusterName} --nodes ${theirs.address}`,
      );
    const name = hostnameOf(one, rules);
    const { machineId } = one.facts;
    return absent.flatMap((other) => [
      ...(name === other.hostname ? [same('hostname', name, other)] : []),
      ...(machineId !== '' && machineId === other.machineId ? [same('machine-id', machineId, other)] : []),
    ]);
  });
}
