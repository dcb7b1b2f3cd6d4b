import { messageOf, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { CLUSTER_RUNTIMES } from '../../image/metadata.js';
import { chooseClusterRuntime } from '../../runtime/choose.js';
import type { ClusterNode, RuntimeDriver } from '../../runtime/driver.js';
import { PODS_TEMPLATE } from '../check/pods.js';
import { isMaster } from '../spec/cluster-spec.js';
import { hostPaths } from '../state/cluster-paths.js';
import type { ClusterState } from '../state/cluster-state.js';
import type { ClusterHost } from './cluster-hosts.js';

/** What a cluster says of itself, and the master that said it; or why none does. */
export type ClusterAnswer =
  | { readonly master: Host; readonly nodes: readonly ClusterNode[] }
  | { readonly master: undefined; readonly why: string };

/** The driver of a cluster, by what its state says. @throws SlipwayError E_UNSUPPORTED */
export async function driverOf({ runtime, name }: Pick<ClusterState, 'runtime' | 'name'>): Promise<RuntimeDriver> {
  const known = CLUSTER_RUNTIMES.find((one) => one === runtime);
  if (known !== undefined) return chooseClusterRuntime({ ClusterRuntime: known });
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `cluster ${name} was installed with the runtime ${runtime}, which is unknown here`,
    {
      hint: 'use the version of slipway that installed it, or a later one',
    },
  );
}

/**
 * Asks the masters for the nodes, one after the other, until one answers. Changes nothing.
 * @param reachable those that are connected; the others are not asked.
 */
export async function askCluster(
  state: ClusterState,
  hosts: readonly ClusterHost[],
  reachable: ReadonlySet<string>,
): Promise<ClusterAnswer> {
  const driver = await driverOf(state);
  const { rootfs } = hostPaths(state.dataRoot, state.name);
  const masters = hosts.filter(({ known }) => isMaster(known) && known.leaving !== true);
  const reasons: string[] = [];
  for (const { host } of masters) {
    if (!reachable.has(host.address)) continue;
    try {
      return { master: host, nodes: await driver.nodes(host, { rootfs }) };
    } catch (error) {
      reasons.push(`${host.address}: ${lastLine(messageOf(error))}`);
    }
  }
  const silent = masters.length === 1 ? 'its master cannot be reached' : 'no master can be reached';
  return { master: undefined, why: reasons.length === 0 ? silent : `no API server answers: ${reasons.join('; ')}` };
}

/** What `kubectl get pods -A` prints with a template. @throws SlipwayError E_HOST_COMMAND */
export async function askPods(
  master: Host,
  state: Pick<ClusterState, 'runtime' | 'dataRoot' | 'name'>,
  signal: AbortSignal,
): Promise<string> {
  const { rootfs } = hostPaths(state.dataRoot, state.name);
  const words = ['get', 'pods', '--all-namespaces', '-o', `go-template=${PODS_TEMPLATE}`];
  const driver = await driverOf(state);
  const { stdout } = await driver.kubectl(master, rootfs, words, { title: 'kubectl get pods', signal });
  return stdout;
}

/** The node of a host: the one that has its address. */
export function nodeAt(nodes: readonly ClusterNode[], address: string): ClusterNode | undefined {
  return nodes.find(({ addresses }) => addresses.includes(address));
}

/** Of a command that failed, what it printed last says most. */
function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}
