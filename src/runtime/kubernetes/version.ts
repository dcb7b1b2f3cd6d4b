import semver from 'semver';
import { SlipwayError } from '../../base/errors.js';

/** Reads `v1.20.2`. @throws SlipwayError E_INVALID_METADATA when it is not a semantic version. */
export function parseKubeVersion(version: string): semver.SemVer {
  const parsed = semver.parse(version);
  if (parsed === null) {
    throw new SlipwayError('E_INVALID_METADATA', `${JSON.stringify(version)} is not a Kubernetes version`, {
      hint: 'Metadata at the root of the image says it: "version": "v1.29.2"',
    });
  }
  return parsed;
}

/** Whether `version` is of the release `minor` (`1.22`) or a later one. Pre-releases (`v1.22.0-rc.1`) belong to their release. */
export function isAtLeast(version: string, minor: string): boolean {
  const { major, minor: own } = parseKubeVersion(version);
  return semver.gte(`${major}.${own}.0`, `${minor}.0`);
}

/**
 * Why a cluster cannot go from one version to another; undefined when it can. Pure.
 * Source: Kubernetes, "Version Skew Policy": no minor version may be skipped, and none can be gone back.
 */
export function upgradeProblem(from: string, to: string): string | undefined {
  const [before, after] = [parseKubeVersion(from), parseKubeVersion(to)];
  if (before.major !== after.major) return `${from} cannot become ${to}`;
  if (after.minor > before.minor + 1) {
    return `${from} cannot become ${to} at once: no minor version may be skipped, v${before.major}.${before.minor + 1} comes first`;
  }
  if (after.minor < before.minor) return `${from} cannot go back to ${to}: what it has written may not be read by that`;
  return undefined;
}
