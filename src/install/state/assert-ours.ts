import { SlipwayError } from '../../base/errors.js';
import type { ClusterState } from './cluster-state.js';

/**
 * Refuses to change the hosts of a cluster that was adopted and that Slipway did not launch: its container runtime, its network and the way
 * to its API servers were made by others, in ways that are not known.
 * @throws SlipwayError E_UNSUPPORTED
 */
export function assertOurs({ name, foreign }: Pick<ClusterState, 'name' | 'foreign'>): void {
  if (foreign !== true) return;
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `Slipway did not launch cluster ${name}, and installs nothing on its hosts nor takes any out of it`,
    {
      hint: 'status, check, exec, cert and reset work with it; hosts are joined, taken out and upgraded with the tool that made it',
    },
  );
}
