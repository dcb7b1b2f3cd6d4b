import { messageOf } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import { askCluster, askPods } from '../cluster-hosts/ask-cluster.js';
import { type ReachOptions, withClusterHosts } from '../cluster-hosts/cluster-hosts.js';
import { isMaster } from '../spec/cluster-spec.js';
import { hostPaths } from '../state/cluster-paths.js';
import type { ClusterState } from '../state/cluster-state.js';
import { launchFindings, nodeFindings } from './cluster-checks.js';
import type { Finding } from './finding.js';
import { type CheckedHost, hostFindings, unitsOf } from './host-checks.js';
import { type GatheredHost, gatherHost } from './host-facts.js';
import { parsePods, podFindings } from './pods.js';

export interface CheckOptions extends ReachOptions {
  /** Look into every file that the hosts were given. */
  readonly deep: boolean;
}

/** What a check found, and how much it looked at. */
export interface CheckReport {
  readonly cluster: string;
  /** Hosts that answered, of all. */
  readonly answered: number;
  readonly hosts: number;
  /** In the order of the cluster and its hosts. */
  readonly findings: readonly Finding[];
}

/**
 * Asks whether a cluster and its hosts are as they should be. Changes nothing; needs neither image nor secrets.
 * @throws SlipwayError E_INTERRUPTED
 */
export async function checkCluster(state: ClusterState, options: CheckOptions): Promise<CheckReport> {
  const { deep, signal, concurrency } = options;
  const paths = hostPaths(state.dataRoot, state.name);
  return withClusterHosts(state, options, async (hosts) => {
    const { results, failures } = await tryOnHosts(
      hosts.map(({ host }) => host),
      (host, index) => {
        const known = hosts[index]?.known;
        const units = unitsOf(state.runtime, known !== undefined && isMaster(known));
        return gatherHost(host, state, paths, { units, deep, signal });
      },
      { concurrency, signal },
    );
    signal.throwIfAborted();
    const checked = state.hosts.map((known): CheckedHost => {
      const gathered = results.get(known.address);
      const failure = failures.find(({ address }) => address === known.address)?.error;
      return { known, answer: gathered ?? { failure } };
    });
    const cluster = await askCluster(state, hosts, new Set(results.keys()));
    const pods = cluster.master === undefined ? [] : await podsOf(cluster.master, state, results, signal);
    signal.throwIfAborted();
    return {
      cluster: state.name,
      answered: results.size,
      hosts: state.hosts.length,
      findings: [
        ...launchFindings(state),
        ...checked.flatMap((one) => hostFindings(one, state, Date.now())),
        ...nodeFindings(state, cluster),
        ...pods,
      ],
    };
  });
}

/** Times in the cluster are those of its masters. */
async function podsOf(
  master: Host,
  state: ClusterState,
  gathered: ReadonlyMap<string, GatheredHost>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const now = Date.now() + (gathered.get(master.address)?.clockSkewMs ?? 0);
  try {
    const pods = parsePods(await askPods(master, state, signal));
    return podFindings(
      pods,
      state.hosts.map(({ address }) => address),
      now,
    );
  } catch (error) {
    const [why = ''] = messageOf(error).split('\n', 1);
    const fix = `see on ${master.address} what "kubectl get pods -A" says`;
    return [{ severity: 'problem', host: null, check: 'pods', what: 'the pods cannot be listed', why, fix }];
  }
}
