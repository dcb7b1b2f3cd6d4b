import { API_SERVER_NAME } from '../../runtime/etc-hosts.js';
import type { ClusterSpec } from '../spec/cluster-spec.js';
import { normalizeIp } from '../spec/ip-list.js';
import type { ClusterDocument } from './schema.js';
import type { Path } from './values.js';

type Wrong = (path: Path, why: string) => void;

/**
 * The lines for /etc/hosts that a Clusterfile wants. Names that Slipway or the system writes there already are refused: it is the first line
 * that counts, so one of the two would be in vain.
 * @param wrong takes down a mistake.
 */
export function readHostAliases(
  aliases: ClusterDocument['spec']['hostAliases'] = [],
  registry: ClusterSpec['registry'],
  wrong: Wrong,
): ClusterSpec['hostAliases'] {
  const at = ['spec', 'hostAliases'];
  return aliases.map(({ ip, hostnames }, index) => {
    const address = normalizeIp(ip);
    if (address === undefined) wrong([...at, index, 'ip'], `${JSON.stringify(ip)} is not an IP address`);
    for (const [item, name] of hostnames.entries()) {
      const reason = whyTaken(name.toLowerCase(), registry);
      if (reason !== undefined) wrong([...at, index, 'hostnames', item], `${name} ${reason}`);
    }
    return { address: address ?? ip, names: [...hostnames] };
  });
}

/** Why a name may not be given; of a registry outside of the cluster this is the place to say where it is. */
function whyTaken(name: string, { domain, external }: ClusterSpec['registry']): string | undefined {
  if (name === 'localhost') return 'is every host itself: leave it out';
  if (name === API_SERVER_NAME)
    return 'is the name of the API server, which Slipway writes to /etc/hosts itself: leave it out; another way to the API server is controlPlaneEndpoint of a ClusterConfiguration';
  if (name === domain && external === undefined)
    return 'is the registry of the cluster, which Slipway writes to /etc/hosts itself: leave it out, or name the registry otherwise in spec.registry.localRegistry.domain; one outside of the cluster is spec.registry.externalRegistry';
  return undefined;
}
