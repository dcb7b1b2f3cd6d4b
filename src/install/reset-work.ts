import { anyRuntime, chooseClusterRuntime } from '../runtime/choose.js';
import type { RuntimeDriver } from '../runtime/driver.js';
import { driverOf } from './cluster-hosts/ask-cluster.js';
import type { HostSet } from './cluster-hosts/connect-hosts.js';
import { keptHostEnv } from './cluster-hosts/kept-env.js';
import type { HookHost } from './hooks/hook-step.js';
import { firstMaster } from './hooks/plugin-marks.js';
import { DEFAULTS, type HostSpec, isMaster } from './spec/cluster-spec.js';
import type { PluginSpec } from './spec/plugin-spec.js';
import { type HostPaths, hostPaths } from './state/cluster-paths.js';
import type { ClusterState } from './state/cluster-state.js';

/** What the phases of `reset` work with: no image is needed. */
export interface ResetWork {
  readonly cluster: string;
  readonly driver: RuntimeDriver;
  readonly paths: HostPaths;
  readonly registry: { readonly domain: string; readonly port: number };
  /** Hosts that answer and are ours. */
  readonly hosts: readonly HookHost[];
  /** Those whose hooks are run; none when hooks are left out. */
  readonly plugins: readonly PluginSpec[];
  /** The master that is asked, and on which hooks of the whole cluster run; undefined when none is there. */
  readonly asked: HookHost | undefined;
  /** Address of the first master of the cluster. */
  readonly first: string | undefined;
}

/** Puts together what is needed, from the hosts that are ours and what is known of the cluster, which may be nothing. */
export async function resetWork(
  { cluster, skipHooks = false }: { readonly cluster: string; readonly skipHooks?: boolean },
  ours: readonly HostSpec[],
  before: ClusterState | undefined,
  { hosts }: Pick<HostSet, 'hosts'>,
): Promise<ResetWork> {
  const driver = before === undefined ? undefined : await driverOf(before);
  const answering = ours.flatMap((spec): HookHost[] => {
    const { address, roles } = spec;
    const host = hosts.get(address);
    if (host === undefined) return [];
    const env =
      before === undefined || driver === undefined
        ? { ...spec.env, HostIP: address }
        : keptHostEnv(before, driver, address);
    return [{ address, host, roles, master: isMaster(spec), env }];
  });
  return {
    cluster,
    // Of a cluster that is not known nothing is asked but that it goes.
    driver: driver ?? { ...(await chooseClusterRuntime({})), ...(await anyRuntime()) },
    paths: hostPaths(before?.dataRoot ?? DEFAULTS.dataRoot, cluster),
    registry: before?.registry ?? DEFAULTS.registry,
    hosts: answering,
    plugins: skipHooks || before === undefined ? [] : [...before.imagePlugins, ...before.plugins],
    asked: answering.find(({ master }) => master),
    first: firstMaster(before?.hosts ?? ours),
  };
}
