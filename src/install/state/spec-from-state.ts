import { SlipwayError } from '../../base/errors.js';
import {
  type ClusterSpec,
  DEFAULTS,
  type HostSpec,
  MASTER,
  NODE,
  parseClusterSpec,
  type SshSpec,
} from '../spec/cluster-spec.js';
import { readAddresses, type SshFlags, sshSpec } from '../spec/spec-from-flags.js';
import { thisMachine } from '../spec/this-machine.js';
import { assertOurs } from './assert-ours.js';
import type { ClusterState, HostState } from './cluster-state.js';
import type { KeptSsh } from './kept-ssh.js';

/** What a command adds to what is known of a cluster. */
export interface GivenAgain {
  /** How hosts are reached: wins over what was kept. Passwords are never kept. */
  readonly ssh: SshFlags;
  /** Variables; those that were secret must be among them. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The wanted state of a cluster as the last command left it, with what was given again.
 * @throws SlipwayError E_CLUSTER_STATE when secrets are missing, which are never kept.
 */
export function specFromState(state: ClusterState, { ssh, env }: GivenAgain): ClusterSpec {
  assertOurs(state);
  const missing = [
    ...state.envNotKept.filter((name) => !Object.hasOwn(env, name)).map((name) => `the variable ${name}`),
    ...state.notKept,
  ];
  if (missing.length > 0) {
    const variables = state.envNotKept.map((name) => `-e ${name}=…`).join(' ');
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `secrets of cluster ${state.name} are needed, and are never kept: ${missing.join(', ')}`,
      {
        hint: `${state.notKept.length > 0 ? '' : `give them again: ${variables}; or `}change the Clusterfile and run "slipway apply -f Clusterfile"`,
      },
    );
  }
  const { address: _, addresses: __, mirrors: ___, ...registry } = state.registry;
  return parseClusterSpec(
    {
      name: state.name,
      // Its name may stand for another one by now.
      image: `${state.image.name}@${state.image.digest}`,
      hosts: state.hosts.filter(({ leaving }) => leaving !== true).map((host) => hostFromState(host, ssh)),
      env: { ...state.env, ...env },
      ...(state.cmds === undefined ? {} : { cmds: state.cmds }),
      ...(state.apps === undefined ? {} : { apps: state.apps }),
      ...(state.appConfigs === undefined ? {} : { appConfigs: state.appConfigs }),
      registry,
      ...(state.containerRuntime === undefined ? {} : { containerRuntime: state.containerRuntime }),
      certSANs: state.certSANs,
      hostAliases: state.hostAliases,
      configs: state.configs,
      plugins: state.plugins,
      configDocuments: state.configDocuments,
      dataRoot: state.dataRoot,
    },
    `the state of cluster ${state.name}`,
  );
}

/** Hosts that are to join, as flags give them. */
export interface JoinFlags extends GivenAgain {
  readonly masters: string | undefined;
  readonly nodes: string | undefined;
}

/**
 * The wanted state of a cluster with more hosts than it has. New ones are reached as its first host is, where nothing else is said.
 * @throws SlipwayError E_USAGE for hosts that are in it already, and as {@link specFromState}.
 */
export function joinSpec(state: ClusterState, flags: JoinFlags): ClusterSpec {
  const { masters, nodes } = readHostLists(flags);
  const given = [...masters, ...nodes];
  if (given.length === 0) {
    throw new SlipwayError('E_USAGE', 'no hosts are given', { hint: 'slipway join --nodes 10.0.0.7' });
  }
  const staying = state.hosts.filter(({ leaving }) => leaving !== true);
  // Given again after a failure, the same command goes on.
  const contrary = staying.filter(({ address, roles }) => (roles.includes(MASTER) ? nodes : masters).includes(address));
  if (contrary.length > 0) {
    throw new SlipwayError(
      'E_USAGE',
      contrary
        .map(
          ({ address, roles }) =>
            `${address} is a ${roles.includes(MASTER) ? 'master' : 'node'} of ${state.name} already`,
        )
        .join('; '),
      { hint: 'to change the role of a host take it out with "slipway delete" first' },
    );
  }
  const spec = specFromState(state, flags);
  const kept = staying[0]?.ssh;
  const host =
    (role: string) =>
    (address: string): HostSpec => ({
      address,
      roles: [role],
      ssh: mergedSsh(flags.ssh, kept),
      env: {},
    });
  const isNew = (address: string): boolean => !staying.some((known) => known.address === address);
  return parseClusterSpec(
    {
      ...spec,
      hosts: [...spec.hosts, ...masters.filter(isNew).map(host(MASTER)), ...nodes.filter(isNew).map(host(NODE))],
    },
    'the flags',
  );
}

/**
 * The hosts of a cluster that are to leave it; the role that is said of each must be the one that it has.
 * @throws SlipwayError E_USAGE
 */
export function addressesToDelete(
  state: ClusterState,
  flags: { readonly masters?: string | undefined; readonly nodes?: string | undefined },
): readonly string[] {
  const { masters, nodes } = readHostLists(flags);
  if (masters.length + nodes.length === 0) {
    throw new SlipwayError('E_USAGE', 'no hosts are given', { hint: 'slipway delete --nodes 10.0.0.7' });
  }
  const wrong = state.hosts.filter(({ address, roles }) =>
    (roles.includes(MASTER) ? nodes : masters).includes(address),
  );
  if (wrong.length > 0) {
    throw new SlipwayError(
      'E_USAGE',
      wrong
        .map(({ address, roles }) => `${address} is a ${roles.includes(MASTER) ? 'master' : 'node'} of ${state.name}`)
        .join('; '),
      { hint: 'masters are given with --masters, workers with --nodes' },
    );
  }
  return [...masters, ...nodes];
}

function readHostLists(flags: { readonly masters?: string | undefined; readonly nodes?: string | undefined }): {
  readonly masters: readonly string[];
  readonly nodes: readonly string[];
} {
  const mistakes: string[] = [];
  const masters = readAddresses(flags.masters ?? '', thisMachine, mistakes);
  const nodes = readAddresses(flags.nodes ?? '', thisMachine, mistakes);
  mistakes.push(...masters.filter((one) => nodes.includes(one)).map((one) => `${one} is given as master and as node`));
  if (mistakes.length > 0) throw new SlipwayError('E_USAGE', mistakes.join('; '));
  return { masters: [...new Set(masters)], nodes: [...new Set(nodes)] };
}

/** A host as it was kept, reached as the flags say. */
export function hostFromState({ address, roles, ssh, env, labels, taints }: HostState, flags: SshFlags): HostSpec {
  return {
    address,
    roles,
    ssh: mergedSsh(flags, ssh),
    env,
    ...(labels === undefined ? {} : { labels }),
    ...(taints === undefined ? {} : { taints }),
  };
}

/**
 * The same specification, its hosts reached as they were before where the flags do not say how; those that are new as the first one is.
 */
export function reachedAsBefore(spec: ClusterSpec, before: ClusterState | undefined, flags: SshFlags): ClusterSpec {
  const staying = before?.hosts.filter(({ leaving }) => leaving !== true) ?? [];
  if (staying.length === 0) return spec;
  const kept = ({ address }: HostSpec): KeptSsh | undefined =>
    (staying.find((known) => known.address === address) ?? staying[0])?.ssh;
  return { ...spec, hosts: spec.hosts.map((host) => ({ ...host, ssh: mergedSsh(flags, kept(host)) })) };
}

/** How a host is reached: flags first, then what was kept, then defaults. */
export function mergedSsh(flags: SshFlags, kept: KeptSsh | undefined): SshSpec {
  return sshSpec({
    ...flags,
    user: flags.user ?? kept?.user ?? DEFAULTS.sshUser,
    port: flags.port ?? kept?.port ?? DEFAULTS.sshPort,
    knownHosts: flags.knownHosts ?? kept?.knownHosts,
    bastion: flags.bastion ?? kept?.bastion,
    // A password that is given stands for the key that was used before.
    privateKey: flags.privateKey ?? (flags.password === undefined ? kept?.privateKey : undefined),
  });
}
