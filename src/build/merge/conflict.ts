import { SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';

/** What several images say of one thing, so that not all of them can be right. */
export interface Conflict {
  readonly kind: 'file' | 'image' | 'application' | 'env' | 'runtime' | 'kube-version';
  /** The path, the name of the container image, of the application, of the variable … */
  readonly subject: string;
  /** Names of the images: the later one wins when it is forced. */
  readonly earlier: string;
  readonly later: string;
  /** In what they differ. */
  readonly reason: string;
}

/** So many are told; the others are counted. */
const MOST_SHOWN = 40;

/**
 * Refuses to merge what does not fit together, or with `force` warns that the later image wins.
 * @throws SlipwayError E_CONFLICT with all conflicts in `details`.
 */
export function judge(conflicts: readonly Conflict[], force: boolean, reporter: Pick<Reporter, 'warn'>): void {
  if (conflicts.length === 0) return;
  const shown = conflicts.slice(0, MOST_SHOWN).map(describe);
  if (conflicts.length > MOST_SHOWN) shown.push(`… and ${conflicts.length - MOST_SHOWN} more`);
  if (force) {
    for (const line of shown) reporter.warn(`${line}: the later one wins`);
    return;
  }
  const many = conflicts.length === 1 ? 'a conflict' : `${conflicts.length} conflicts`;
  throw new SlipwayError(
    'E_CONFLICT',
    `the images cannot be merged, there ${conflicts.length === 1 ? 'is' : 'are'} ${many}:\n  ${shown.join('\n  ')}`,
    {
      hint: 'change the order and give --force to let the later image win everywhere, or build the images so that they fit',
      details: { conflicts },
    },
  );
}

function describe({ kind, subject, earlier, later, reason }: Conflict): string {
  const what = {
    file: subject === '' ? 'the root directory' : subject,
    image: `container image ${subject}`,
    application: `application ${subject}`,
    env: `variable ${subject}`,
    runtime: subject,
    'kube-version': subject,
  }[kind];
  return `${what}: ${reason} (${earlier}, ${later})`;
}
