import { isSlipwayError } from '../../base/errors.js';
import type { ClusterContext, InstallProblem } from '../driver.js';
import { k0sFacts } from './cluster.js';
import { severalMastersProblem } from './config.js';
import { k0sAbilities } from './versions.js';

/** What a user can do where workers would know one master only. */
export const SEVERAL_MASTERS_HINT =
  'name a balancer of yours for the ports 6443, 8132 and 9443 of all masters in a ClusterConfig document (spec.api.externalAddress), or begin with one master';

/** Why this k0s cannot be installed, or not with so many masters. Pure. */
export function installProblem(cluster: ClusterContext): InstallProblem | undefined {
  try {
    k0sAbilities(cluster.version);
  } catch (error) {
    if (!isSlipwayError(error, 'E_UNSUPPORTED', 'E_INVALID_METADATA')) throw error;
    return { problem: error.message, hint: error.hint ?? 'build an image with a later one' };
  }
  const problem = severalMastersProblem(k0sFacts(cluster));
  return problem === undefined
    ? undefined
    : { problem: `it cannot have several masters: ${problem}`, hint: SEVERAL_MASTERS_HINT };
}
