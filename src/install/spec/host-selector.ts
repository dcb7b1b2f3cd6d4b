import { MASTER, NODE } from './cluster-spec.js';
import { parseIpList } from './ip-list.js';

/** The first master, as sealer calls it. */
export const FIRST_MASTER = 'master0';
/** Roles that every cluster has, or can have. */
export const KNOWN_ROLES: readonly string[] = [MASTER, NODE, FIRST_MASTER];

/** Which hosts a plugin is for. */
export type HostSelector =
  | { readonly kind: 'hosts'; readonly roles: readonly string[]; readonly addresses: readonly string[] }
  /** Hosts whose nodes have these labels: only the cluster knows. */
  | { readonly kind: 'labels'; readonly selector: string };

/** What is asked of a host that may be chosen. */
export interface SelectableHost {
  readonly address: string;
  readonly roles: readonly string[];
}

const LABEL_TERM = /^[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?(?:={1,2}|!=)[\w.-]*$/;

/**
 * Reads what chooses hosts: roles (`master`, `node|storage`), addresses and ranges of them (`10.0.0.2,10.0.0.5-10.0.0.9`), or labels of
 * nodes (`disk=ssd,zone!=a`). Pure.
 * @returns a sentence that says what is wrong, when it is none of these.
 */
export function parseHostSelector(text: string): HostSelector | string {
  const words = text.split(/[|,\s]+/).filter((word) => word !== '');
  if (words.length === 0) return 'names no hosts: leave it out for all of them';
  // As sealer's first plugins had it.
  const roles = words.map((word) => /^role=(.+)$/.exec(word)?.[1] ?? word);
  if (roles.some((word) => word.includes('='))) {
    const terms = text.split(',').map((term) => term.trim());
    const wrong = terms.find((term) => !LABEL_TERM.test(term));
    if (wrong === undefined) return { kind: 'labels', selector: terms.join(',') };
    return `${JSON.stringify(wrong)} is not a label; write KEY=VALUE, several with commas`;
  }
  const isAddress = (word: string): boolean => /^\d|:/.test(word);
  const { addresses, mistakes } = parseIpList(roles.filter(isAddress).join(','));
  const [mistake] = mistakes;
  if (mistake !== undefined) return mistake;
  const names = roles.filter((word) => !isAddress(word));
  const wrong = names.find((word) => !/^[A-Za-z][\w.-]*$/.test(word));
  if (wrong !== undefined) return `${JSON.stringify(wrong)} is neither a role nor an address nor a label`;
  return { kind: 'hosts', roles: names, addresses };
}

/** Whether a host is chosen by its roles or its address. Those that labels choose may all be. @param first the first master's address. */
export function isSelected(host: SelectableHost, text: string | undefined, first: string | undefined): boolean {
  const selector = text === undefined ? undefined : parseHostSelector(text);
  if (selector === undefined || typeof selector === 'string' || selector.kind === 'labels') return true;
  return (
    selector.addresses.includes(host.address) ||
    selector.roles.some((role) => host.roles.includes(role)) ||
    (selector.roles.includes(FIRST_MASTER) && host.address === first)
  );
}

/** The labels that choose hosts; undefined when something else does. */
export function labelSelector(text: string | undefined): string | undefined {
  const selector = text === undefined ? undefined : parseHostSelector(text);
  return typeof selector === 'object' && selector.kind === 'labels' ? selector.selector : undefined;
}
