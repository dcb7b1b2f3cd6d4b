import { SlipwayError } from '../../base/errors.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { CertificateWork, HostCertificate } from '../../runtime/driver.js';
import { driverOf } from '../cluster-hosts/ask-cluster.js';
import { type ReachOptions, withClusterHosts } from '../cluster-hosts/cluster-hosts.js';
import type { ClusterState } from '../state/cluster-state.js';

/** The certificates of one host of a cluster. */
export interface HostCertificates {
  readonly host: string;
  readonly certificates: readonly HostCertificate[];
  /** Why it could not be asked. */
  readonly failure: unknown;
}

/** What can be done with the certificates of a cluster. @throws SlipwayError E_UNSUPPORTED when its runtime is left alone. */
export async function certificateWork({
  name,
  runtime,
}: Pick<ClusterState, 'name' | 'runtime'>): Promise<CertificateWork> {
  const { certificates: work } = await driverOf({ name, runtime });
  if (work === undefined) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `cluster ${name} is of ${runtime}, which looks after its certificates itself`,
      {
        hint: `restarting its service renews those that end soon; see the manual of ${runtime}`,
      },
    );
  }
  return work;
}

/** Reads the certificates of all hosts of a cluster, at once, whether or not its API answers. Changes nothing. */
export async function listClusterCertificates(
  state: ClusterState,
  options: ReachOptions,
): Promise<readonly HostCertificates[]> {
  const work = await certificateWork(state);
  const { concurrency, signal } = options;
  const known = { ...state, hosts: state.hosts.filter(({ leaving }) => leaving !== true) };
  return withClusterHosts(known, options, async (hosts) => {
    const { results, failures } = await tryOnHosts(
      hosts.map(({ host }) => host),
      (host) => work.list(host),
      { concurrency, signal },
    );
    signal.throwIfAborted();
    return known.hosts.map(({ address }) => ({
      host: address,
      certificates: results.get(address) ?? [],
      failure: failures.find((one) => one.address === address)?.error,
    }));
  });
}
