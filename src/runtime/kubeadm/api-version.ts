import semver from 'semver';
import { SlipwayError } from '../../base/errors.js';
import { parseKubeVersion } from '../kubernetes/version.js';

/** Versions of kubeadm's configuration API that are written. */
export const KUBEADM_APIS = ['v1beta2', 'v1beta3', 'v1beta4'] as const;
export type KubeadmApi = (typeof KUBEADM_APIS)[number];

/** The first Kubernetes release (`major.minor`) whose kubeadm is given this API, newest first. */
const SINCE: readonly (readonly [string, KubeadmApi])[] = [
  ['1.31.0', 'v1beta4'],
  ['1.22.0', 'v1beta3'],
  ['1.15.0', 'v1beta2'],
];

/**
 * The configuration API that a kubeadm of this version is given: v1beta2 for 1.15–1.21, v1beta3 for 1.22–1.30, v1beta4 from 1.31.
 * @throws SlipwayError E_UNSUPPORTED for older ones.
 */
export function kubeadmApi(version: string): KubeadmApi {
  const { major, minor } = parseKubeVersion(version);
  const release = `${major}.${minor}.0`;
  for (const [since, api] of SINCE) if (semver.gte(release, since)) return api;
  throw new SlipwayError(
    'E_UNSUPPORTED',
    `Kubernetes ${version} is older than v1.15, the oldest that can be installed`,
  );
}
