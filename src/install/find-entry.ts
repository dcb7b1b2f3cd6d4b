import { onHosts } from '../hosts/host-group.js';
import type { HostSet } from './cluster-hosts/connect-hosts.js';
import { readSetup } from './cluster-hosts/host-setup.js';
import type { HostFinding, PreflightProblem } from './plan/preflight.js';
import type { Prepared } from './prepare.js';
import { isMaster } from './spec/cluster-spec.js';
import { hostPaths } from './state/cluster-paths.js';
import type { ClusterState } from './state/cluster-state.js';
import type { InstallWork } from './work.js';

/** The master that is asked, and whether it answers. */
export interface Entry {
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
export async function findEntry(
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
export async function findSetups(
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
