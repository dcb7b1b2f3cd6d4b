import semver from 'semver';
import { allowsKubeVersion, kubeVersionRange } from '../../image/applications.js';

/**
 * The versions of Kubernetes that two constraints both allow.
 * @returns undefined when there is none, or when one of them cannot be read.
 */
export function bothRanges(a: string, b: string): string | undefined {
  if (a === b) return a;
  try {
    const [first, second] = [kubeVersionRange(a), kubeVersionRange(b)];
    if (!semver.intersects(first, second)) return undefined;
    if (semver.subset(first, second)) return a;
    if (semver.subset(second, first)) return b;
    const parts = (range: string): string[] => range.split('||').map((part) => part.trim());
    const both = parts(first).flatMap((left) => parts(second).map((right) => [left, right] as const));
    return both
      .filter(([left, right]) => semver.intersects(left, right))
      .map(([left, right]) => `${left} ${right}`.trim())
      .join(' || ');
  } catch {
    return undefined;
  }
}

/** True when the constraint allows the version; a constraint that cannot be read allows nothing. */
export function allows(constraint: string, version: string): boolean {
  try {
    return allowsKubeVersion(constraint, version);
  } catch {
    return false;
  }
}
