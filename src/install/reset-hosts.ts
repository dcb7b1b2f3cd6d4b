import { SlipwayError } from '../base/errors.js';
import { type HostSpec, isMaster, MASTER, NODE } from './spec/cluster-spec.js';
import { parseIpList } from './spec/ip-list.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import type { ClusterState } from './state/cluster-state.js';
import { hostFromState, mergedSsh } from './state/spec-from-state.js';

/** The flags of `reset`. Without lists the hosts are those of the state. */
export interface ResetFlags extends SshFlags {
  readonly masters?: string | undefined;
  readonly nodes?: string | undefined;
}

/**
 * The hosts that are to be reset: those given, else those of the state. What the flags say about SSH wins over what was kept (a password
 * never is).
 * @throws SlipwayError E_USAGE, E_NOT_FOUND when there is neither.
 */
export function hostsToReset(name: string, flags: ResetFlags, state: ClusterState | undefined): readonly HostSpec[] {
  const masters = parseIpList(flags.masters ?? '');
  const nodes = parseIpList(flags.nodes ?? '');
  const mistakes = [...masters.mistakes, ...nodes.mistakes];
  if (mistakes.length > 0) throw new SlipwayError('E_USAGE', mistakes.join('; '));
  const given = new Map([
    ...nodes.addresses.map((address) => [address, NODE] as const),
    ...masters.addresses.map((address) => [address, MASTER] as const),
  ]);
  if (given.size > 0) {
    if (state !== undefined) assertWhole(state, given);
    return [...given].map(([address, role]) => {
      const known = state?.hosts.find((host) => host.address === address);
      return { address, roles: known?.roles ?? [role], ssh: mergedSsh(flags, known?.ssh), env: known?.env ?? {} };
    });
  }
  if (state === undefined) {
    throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${name} in the store`, {
      hint: `was it launched into another store, give that --root; else give the hosts: slipway reset --cluster ${name} --masters 10.0.0.2 --nodes 10.0.0.3`,
    });
  }
  return state.hosts.map((host) => hostFromState(host, flags));
}

/** A part of a cluster that goes on is drained and taken out of etcd, which only `delete` does. @throws SlipwayError E_USAGE */
function assertWhole({ name, phase, hosts }: ClusterState, given: ReadonlyMap<string, string>): void {
  const staying = hosts.filter(({ leaving }) => leaving !== true);
  const parts = staying.filter(({ address }) => given.has(address));
  const goesOn = staying.some((host) => isMaster(host) && !given.has(host.address));
  if (phase !== 'running' || parts.length === 0 || !goesOn) return;
  const list = (master: boolean): string => {
    const addresses = parts.filter((host) => isMaster(host) === master).map(({ address }) => address);
    return addresses.length === 0 ? '' : ` ${master ? '--masters' : '--nodes'} ${addresses.join(',')}`;
  };
  throw new SlipwayError('E_USAGE', `cluster ${name} goes on without these hosts: they must be taken out of it first`, {
    hint: `slipway delete --cluster ${name}${list(true)}${list(false)} takes them out and cleans them`,
  });
}
