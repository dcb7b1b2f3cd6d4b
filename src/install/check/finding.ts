/** What is not as it should be. `warning`: it works, and will not for long, or is no business of the cluster. */
export interface Finding {
  readonly severity: 'problem' | 'warning';
  /** Address; null when it is about the cluster. */
  readonly host: string | null;
  /** What found it: `drift`, `services` … */
  readonly check: CheckName;
  /** `kubelet.service is not active` */
  readonly what: string;
  readonly why: string;
  /** The next step. */
  readonly fix: string;
  /** All of what `why` names only the beginning of. */
  readonly items?: readonly string[];
}

/** What brings a cluster back to what it shall be. */
export const AGAIN = 'slipway apply -f Clusterfile, or the same run again';

export type CheckName =
  | 'launch'
  | 'reachable'
  | 'owner'
  | 'clock'
  | 'disk'
  | 'services'
  | 'drift'
  | 'installed'
  | 'registry'
  | 'certificates'
  | 'api-server'
  | 'nodes'
  | 'pods';

const MOST_NAMED = 3;

/** The first of a list, and how many more there are. */
export function briefly(items: readonly string[], separator: string): string {
  const more = items.length - MOST_NAMED;
  return [...items.slice(0, MOST_NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join(separator);
}
