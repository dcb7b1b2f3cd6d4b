import type { Host } from '../../hosts/host.js';
import type { ClusterContext } from '../driver.js';
import type { HostAbilities, KubeadmFacts } from './config.js';
import { PATHS } from './paths.js';

/** What the configuration is made from, of what the driver is told. */
export function kubeadmFacts(cluster: ClusterContext): KubeadmFacts {
  return {
    version: cluster.version,
    masters: cluster.masters.map(({ address }) => address),
    hasWorkers: cluster.workers.length > 0,
    certSANs: cluster.certSANs,
    documents: cluster.configDocuments,
  };
}

/** Finds out what the configuration must know of the host on which the cluster begins. */
export async function hostAbilities(host: Host): Promise<HostAbilities> {
  const driver = (await host.readFile(PATHS.cgroupDriver))?.toString('utf8').trim();
  const { code } = await host.run(
    `f=/proc/sys/net/netfilter/nf_conntrack_max
[ ! -e $f ] || (cat $f >/dev/null && v=$(cat $f) && echo "$v" >$f) 2>/dev/null`,
    { title: 'looking whether the connection table can be sized', allowFailure: true, timeoutMs: 30_000 },
  );
  return {
    cgroupDriver: driver === 'systemd' || driver === 'cgroupfs' ? driver : undefined,
    conntrackWritable: code === 0,
  };
}
