import semver from 'semver';
import { SlipwayError } from '../../base/errors.js';

/** What a version of k0s can do and this driver makes use of. */
export interface K0sAbilities {
  /** `k0s install --force` replaces a service that is there; before, its file must be taken away first. */
  readonly forceInstall: boolean;
  /** `spec.network.nodeLocalLoadBalancing`: every node finds the API servers of all controllers by itself. */
  readonly nodeLocalLoadBalancing: boolean;
  /** containerd's settings may come in pieces, in /etc/k0s/containerd.d; before, one file takes the place of k0s' own. */
  readonly containerdDropIns: boolean;
  /** The format of containerd's settings. */
  readonly containerdConfig: 2 | 3;
  /** Autopilot keeps a ControlNode object for every controller. */
  readonly controlNodes: boolean;
  /** k0s keeps an EtcdMember object for every controller. */
  readonly etcdMemberObjects: boolean;
}

/** The oldest version that is installed: `k0s config create`, `config validate` and `--no-taints` came with it. */
export const OLDEST = '1.23.0';

const BEFORE_ALL: K0sAbilities = {
  forceInstall: false,
  nodeLocalLoadBalancing: false,
  containerdDropIns: false,
  containerdConfig: 2,
  controlNodes: false,
  etcdMemberObjects: false,
};

/**
 * What changed, oldest first. Sources: k0s' own (`cmd/`, `pkg/component/worker/containerd*`, `pkg/apis`, docs/runtime.md, docs/nllb.md,
 * docs/remove_controller.md of the releases named), and k0sctl's `K0sForceFlagSince`.
 */
const CHANGES: readonly (readonly [since: string, Partial<K0sAbilities>])[] = [
  ['1.24.0', { controlNodes: true }],
  ['1.27.1', { containerdDropIns: true }],
  // The flag is older, and did not do what it says before.
  ['1.27.4', { forceInstall: true }],
  // From 1.26 to 1.28 its documentation calls it experimental.
  ['1.29.0', { nodeLocalLoadBalancing: true }],
  ['1.30.0', { etcdMemberObjects: true }],
  // containerd 2; settings of format 2 keep k0s from starting.
  ['1.36.0', { containerdConfig: 3 }],
];

/** Reads `v1.31.14+k0s.0`. @throws SlipwayError E_INVALID_METADATA when it is not a version of k0s. */
export function parseK0sVersion(version: string): semver.SemVer {
  const parsed = semver.parse(version);
  if (parsed === null) {
    throw new SlipwayError('E_INVALID_METADATA', `${JSON.stringify(version)} is not a version of k0s`, {
      hint: 'Metadata at the root of the image says it: "version": "v1.31.14+k0s.0"',
    });
  }
  return parsed;
}

/**
 * What this version can do. Pre-releases belong to their release.
 * @throws SlipwayError E_UNSUPPORTED for versions before {@link OLDEST}
 */
export function k0sAbilities(version: string): K0sAbilities {
  const { major, minor, patch } = parseK0sVersion(version);
  const release = `${major}.${minor}.${patch}`;
  if (semver.lt(release, OLDEST)) {
    throw new SlipwayError(
      'E_UNSUPPORTED',
      `k0s ${version} is older than v${OLDEST}, the oldest that can be installed`,
      {
        hint: 'it has no "k0s config create" and "k0s config validate"; build an image with a later one',
      },
    );
  }
  const changes = CHANGES.filter(([since]) => semver.gte(release, since)).map(([, change]) => change);
  return Object.assign({ ...BEFORE_ALL }, ...changes) as K0sAbilities;
}

/** Whether two texts name the same version: `v1.31.14+k0s.0` and `v1.31.14+k0s.1` do not. */
export function isSameVersion(one: string, other: string): boolean {
  return one.trim().replace(/^v/, '') === other.trim().replace(/^v/, '');
}

/** Whether a kubelet that says this of itself (`v1.31.14+k0s`) is that of this k0s (`v1.31.14+k0s.0`). */
export function isKubeletOf(kubelet: string, version: string): boolean {
  const parsed = semver.parse(kubelet);
  return parsed !== null && parsed.compare(parseK0sVersion(version)) === 0;
}
