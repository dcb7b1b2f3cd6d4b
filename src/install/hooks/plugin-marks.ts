import { type ClusterSpec, type HostSpec, isMaster } from '../spec/cluster-spec.js';
import { FIRST_MASTER, KNOWN_ROLES, parseHostSelector } from '../spec/host-selector.js';
import type { PluginSpec } from '../spec/plugin-spec.js';
import { parseHostnameLines, parseLabelLines, parseTaintLines } from './node-lines.js';

/** What is wanted of a node's labels and taints. */
export interface WantedMarks {
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly string[];
}

/**
 * The marks of a host: those that LABEL and TAINT plugins give it, in their order, and its own, which count more. Of two taints with
 * one key and effect the last counts. Pure.
 */
export function marksOf(
  { address, labels = {}, taints = [] }: Pick<HostSpec, 'address' | 'labels' | 'taints'>,
  plugins: readonly PluginSpec[],
): WantedMarks {
  const own = <T>({ entries }: { readonly entries: readonly { readonly address: string; readonly value: T }[] }) =>
    entries.filter((entry) => entry.address === address).map(({ value }) => value);
  const given = ofType(plugins, 'LABEL').flatMap(({ data }) => own(parseLabelLines(data)));
  const tainted = ofType(plugins, 'TAINT').flatMap(({ data }) => own(parseTaintLines(data)).flat());
  const byKey = new Map<string, string>();
  for (const taint of [...tainted, ...taints]) {
    const key = taint.replace(/-$/, '').replace(/=[^:]*/, '');
    byKey.delete(key);
    byKey.set(key, taint);
  }
  return { labels: Object.assign({}, ...given, labels), taints: [...byKey.values()] };
}

/** The names that HOSTNAME plugins give to hosts, by address; the last word counts. Pure. */
export function wantedHostnames(plugins: readonly PluginSpec[]): ReadonlyMap<string, string> {
  return new Map(
    ofType(plugins, 'HOSTNAME').flatMap(({ data }) =>
      parseHostnameLines(data).entries.map(({ address, value }) => [address, value] as const),
    ),
  );
}

/** Hosts and roles that plugins name and the cluster has not: they may be gone, or be a slip of the pen. Pure. */
export function pluginWarnings(plugins: readonly PluginSpec[], { hosts }: Pick<ClusterSpec, 'hosts'>): string[] {
  const addresses = new Set(hosts.map(({ address }) => address));
  const roles = new Set([...KNOWN_ROLES, ...hosts.flatMap((host) => host.roles)]);
  return plugins.flatMap((plugin) => {
    const strangers = new Set(namedAddresses(plugin).filter((address) => !addresses.has(address)));
    const unknown = new Set(namedRoles(plugin).filter((role) => !roles.has(role)));
    const who = `plugin ${plugin.name} (${plugin.source})`;
    return [
      ...(strangers.size === 0 ? [] : [`${who} is for ${some([...strangers])}: no host of the cluster`]),
      ...[...unknown].map((role) => `${who} is for the role ${role}, which no host has`),
    ];
  });
}

/** The address of the first master, as {@link FIRST_MASTER} means it. */
export function firstMaster(hosts: readonly Pick<HostSpec, 'address' | 'roles'>[]): string | undefined {
  return hosts.find((host) => isMaster(host) || host.roles.includes(FIRST_MASTER))?.address;
}

function namedAddresses({ type, data, on, scope }: PluginSpec): readonly string[] {
  if (type === 'LABEL') return parseLabelLines(data).entries.map(({ address }) => address);
  if (type === 'TAINT') return parseTaintLines(data).entries.map(({ address }) => address);
  if (type === 'HOSTNAME') return parseHostnameLines(data).entries.map(({ address }) => address);
  if (type !== 'SHELL') return [];
  return [on, scope].flatMap((text) => selected(text)?.addresses ?? []);
}

function namedRoles({ type, on, scope }: PluginSpec): readonly string[] {
  return type === 'SHELL' ? [on, scope].flatMap((text) => selected(text)?.roles ?? []) : [];
}

function selected(text: string | undefined) {
  const selector = text === undefined ? undefined : parseHostSelector(text);
  return typeof selector === 'object' && selector.kind === 'hosts' ? selector : undefined;
}

function ofType(plugins: readonly PluginSpec[], type: PluginSpec['type']): readonly PluginSpec[] {
  return plugins.filter((plugin) => plugin.type === type);
}

/** A range that reaches beyond the cluster's hosts names many. */
function some(addresses: readonly string[]): string {
  return addresses.length <= 3
    ? addresses.join(', ')
    : `${addresses.slice(0, 3).join(', ')} and ${addresses.length - 3} more`;
}
