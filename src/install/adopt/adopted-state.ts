import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { SlipwayError } from '../../base/errors.js';
import type { ClusterDescription, ClusterNode } from '../../runtime/driver.js';
import type { HostOwner } from '../cluster-hosts/host-owner.js';
import { type HostSpec, MASTER, NODE } from '../spec/cluster-spec.js';
import type { SshFlags } from '../spec/spec-from-flags.js';
import type { ClusterState, HostState } from '../state/cluster-state.js';
import { keptSsh } from '../state/kept-ssh.js';
import { mergedSsh } from '../state/spec-from-state.js';

/**
 * The state that a master has kept, as it is to be used from here: hosts are reached as the flags say. Ways through other machines are not
 * taken from a host, only from whoever gives the command. Pure.
 * @throws SlipwayError E_USAGE when hosts are given that are not in it, or with another role.
 */
export function stateFromCopy(copy: ClusterState, given: readonly HostSpec[], ssh: SshFlags): ClusterState {
  const wrong = given.flatMap(({ address, roles }) => {
    const known = copy.hosts.find((host) => host.address === address);
    if (known === undefined) return [`${address} is no host of ${copy.name}`];
    const [role = NODE] = roles;
    return known.roles.includes(role) ? [] : [`${address} is a ${known.roles[0]} of ${copy.name}`];
  });
  if (wrong.length > 0) throw new SlipwayError('E_USAGE', wrong.join('; '));
  return {
    ...copy,
    hosts: copy.hosts.map((host): HostState => {
      const { bastion: _, knownHosts: __, ...kept } = host.ssh;
      return { ...host, ssh: keptSsh(mergedSsh(ssh, kept)) };
    }),
  };
}

/** What was found out about a cluster that has kept no state. */
export interface Findings {
  readonly name: string;
  /** Undefined when Slipway did not launch it. */
  readonly owner: HostOwner | undefined;
  readonly image: { readonly name: string; readonly digest: string };
  readonly runtime: string;
  readonly description: ClusterDescription;
  readonly nodes: readonly ClusterNode[];
  readonly hosts: readonly HostSpec[];
  readonly facts: ReadonlyMap<string, { readonly hostname: string; readonly machineId: string }>;
  readonly registry: ClusterState['registry'];
  readonly dataRoot: string;
  /** What is needed and cannot be found out: `the password of the registry`. */
  readonly notKept: readonly string[];
}

/** The state of a cluster, put together from what its hosts and itself say. Pure but for the id of one that has none. */
export function stateFromFindings(findings: Findings, now: string): ClusterState {
  const { name, owner, image, runtime, description, nodes, facts, registry, dataRoot, notKept } = findings;
  return {
    schema: 1,
    id: owner?.id ?? randomUUID(),
    name,
    phase: 'running',
    ...(owner === undefined ? { foreign: true } : {}),
    image,
    runtime,
    version: description.version,
    dataRoot,
    registry,
    env: {},
    envNotKept: [],
    notKept: [...notKept],
    hostAliases: [],
    configs: [],
    plugins: [],
    imagePlugins: [],
    applications: [],
    configDocuments: [...description.configDocuments],
    documents: [...description.configDocuments],
    certSANs: [...description.certSANs],
    hosts: findings.hosts.map(({ address, roles, ssh }, index) => ({
      address,
      roles,
      hostname: facts.get(address)?.hostname ?? nodeOf(nodes, address)?.name ?? '',
      machineId: facts.get(address)?.machineId ?? '',
      ssh: keptSsh(ssh),
      env: {},
      index,
    })),
    created: now,
    updated: now,
  };
}

/**
 * The hosts of a cluster that was asked: those that were given, in their order, then its other nodes, reached as the first one is. Pure.
 * @throws SlipwayError E_USAGE for hosts that are no nodes of it, or have another role.
 */
export function hostsOfNodes(given: readonly HostSpec[], nodes: readonly ClusterNode[]): readonly HostSpec[] {
  const wrong = given.flatMap(({ address, roles }) => {
    const node = nodeOf(nodes, address);
    if (node === undefined) return [`${address} is no node of the cluster`];
    const role = node.controlPlane ? MASTER : NODE;
    return roles.includes(role) ? [] : [`${address} (${node.name}) is a ${role}`];
  });
  if (wrong.length > 0) {
    throw new SlipwayError('E_USAGE', wrong.join('; '), {
      hint: 'masters are given with --masters, workers with --nodes, by the addresses that the cluster knows them by',
    });
  }
  const [first] = given;
  const others = nodes.filter(({ addresses }) => !given.some(({ address }) => addresses.includes(address)));
  const more = others.flatMap(({ addresses, controlPlane }): HostSpec[] => {
    const address = addresses.find((one) => isIP(one) !== 0);
    if (address === undefined || first === undefined) return [];
    return [{ address, roles: [controlPlane ? MASTER : NODE], ssh: first.ssh, env: {} }];
  });
  const all = [...given, ...more];
  return [...all.filter(({ roles }) => roles.includes(MASTER)), ...all.filter(({ roles }) => !roles.includes(MASTER))];
}

function nodeOf(nodes: readonly ClusterNode[], address: string): ClusterNode | undefined {
  return nodes.find(({ addresses }) => addresses.includes(address));
}
