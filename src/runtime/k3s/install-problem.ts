import { isSlipwayError } from '../../base/errors.js';
import type { ClusterContext, InstallProblem } from '../driver.js';
import { isDualStack } from '../kubernetes/node-ip.js';
import { networksOf } from './config.js';
import { k3sAbilities } from './versions.js';

/** Why this k3s cannot be installed, or not with so many masters or such networks. Pure. */
export function installProblem({ version, masters, configDocuments }: ClusterContext): InstallProblem | undefined {
  try {
    const { embeddedEtcd } = k3sAbilities(version);
    const { podCIDR, serviceCIDR } = networksOf(configDocuments);
    if (families(podCIDR) !== families(serviceCIDR)) {
      return {
        problem: `k3s does not start where cluster-cidr (${podCIDR}) and service-cidr (${serviceCIDR}) are not both of IPv4, of IPv6, or of both`,
        hint: 'say both in the K3sConfig (spec.server), each with a network of every family',
      };
    }
    if (masters.length < 2 || embeddedEtcd) return undefined;
    return {
      problem: `it cannot have several masters: k3s ${version} has no etcd inside`,
      hint: 'v1.19.5 and later have; or take one master',
    };
  } catch (error) {
    if (!isSlipwayError(error, 'E_UNSUPPORTED', 'E_INVALID_METADATA')) throw error;
    return { problem: error.message, hint: error.hint ?? 'build an image with a later one' };
  }
}

function families(cidrs: string): string {
  return isDualStack(cidrs) ? 'both' : cidrs.includes(':') ? '6' : '4';
}
