import { parse, stringify } from 'yaml';
import type { ClusterNetworks } from '../driver.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { k3sDocuments, listOf, mergeSettings } from './documents.js';
import type { K3sRole } from './paths.js';

/** The port at which masters are asked, for joins as well. */
export const SUPERVISOR_PORT = 6443;

/** k3s' own defaults. */
const CLUSTER_CIDR = '10.42.0.0/16';
const SERVICE_CIDR = '10.43.0.0/16';

/** What the settings are made from. */
export interface K3sFacts {
  readonly certSANs: readonly string[];
  /** The image's and the user's documents, in this order. */
  readonly documents: readonly JsonObject[];
}

/** How a host comes to the cluster. */
export type Membership =
  /** It begins the cluster, alone with SQLite, or with etcd. */
  | { readonly begins: 'alone' | 'etcd' }
  /** It joins through another master. */
  | { readonly server: string; readonly token: string };

/** k3s' `config.yaml` for a host; of a dual-stack cluster with two addresses of it, the first the one that it is known by. Pure. */
export function k3sConfig(
  role: K3sRole,
  address: string,
  membership: Membership,
  { certSANs, documents }: K3sFacts,
  nodeIps: readonly string[] = [address],
): JsonObject {
  const given = k3sDocuments(documents);
  const own: JsonObject = {
    ...('server' in membership ? { server: membership.server, token: membership.token } : {}),
    ...('begins' in membership && membership.begins === 'etcd' ? { 'cluster-init': true } : {}),
    'node-ip': nodeIps.length === 1 ? address : nodeIps,
    ...(role === 'server' ? { 'tls-san': [...new Set([address, ...certSANs])] } : {}),
  };
  const merged = mergeSettings(own, given[role]);
  // Whoever came first with a name must not change the file.
  return 'tls-san' in merged ? { ...merged, 'tls-san': [...listOf(merged['tls-san'])].sort() } : merged;
}

/** How the host came to its cluster, by the file that it was started with; undefined when the file does not say. Pure. */
export function membershipOf(text: string): Membership | undefined {
  const settings = readConfig(text);
  if (settings === undefined) return undefined;
  const { server, token } = settings;
  if (typeof server === 'string' && typeof token === 'string') return { server, token };
  return { begins: settings['cluster-init'] === true ? 'etcd' : 'alone' };
}

const HEADER = '# Made by slipway: what is written here is lost. Settings belong into a K3sConfig document.\n';

/** Whether a `config.yaml` was written by this driver. Pure. */
export function isOurs(text: string): boolean {
  return text.startsWith(HEADER);
}

/** Keys come in an order of their own, so that the same settings are the same text. Pure. */
export function configText(settings: JsonObject): string {
  const sorted = Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${HEADER}${stringify(sorted, { lineWidth: 0 })}`;
}

/** Where a joining host finds a master. Pure. */
export function serverUrl(address: string): string {
  return `https://${address.includes(':') ? `[${address}]` : address}:${SUPERVISOR_PORT}`;
}

/** The networks inside the cluster. @throws SlipwayError E_CLUSTERFILE for documents that are none. Pure. */
export function networksOf(documents: readonly JsonObject[]): ClusterNetworks {
  const { server } = k3sDocuments(documents);
  return {
    podCIDR: listOf(server['cluster-cidr']).join(',') || CLUSTER_CIDR,
    serviceCIDR: listOf(server['service-cidr']).join(',') || SERVICE_CIDR,
  };
}

function readConfig(text: string): JsonObject | undefined {
  try {
    const value: unknown = parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
