import { isIPv6 } from 'node:net';
import { parse, stringify } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';
import { k0sAbilities } from './versions.js';

/** sealer's default networks, whichever runtime: what is written for one finds the same on another. k0s' own one of services is very wide. */
const POD_CIDR = '100.64.0.0/10';
const SERVICE_CIDR = '10.96.0.0/22';

/** What the configuration is made from. */
export interface K0sFacts {
  /** `v1.31.14+k0s.0` */
  readonly version: string;
  /** Of all controllers, in any order. */
  readonly masters: readonly string[];
  readonly certSANs: readonly string[];
  /** The image's and the user's documents, in this order; those that are not k0s' are passed over. */
  readonly documents: readonly JsonObject[];
}

/**
 * The ClusterConfig of the controller at `address`: what k0s itself begins with (`k0s config create` on that host), what Slipway wants,
 * and over both the documents. Names of certificates are the union of all. Pure.
 *
 * A controller's own addresses (`spec.api.address`, etcd's `peerAddress`) are those of the host whatever a document says: one document
 * is there for all of them.
 */
export function k0sConfig(defaults: JsonObject, facts: K0sFacts, address: string): JsonObject {
  const given = clusterConfigs(facts.documents);
  const wanted: JsonObject = {
    apiVersion: 'k0s.k0sproject.io/v1beta1',
    kind: 'ClusterConfig',
    // Nothing is told to anybody from where there is no internet.
    spec: {
      telemetry: { enabled: false },
      network: { podCIDR: POD_CIDR, serviceCIDR: SERVICE_CIDR, ...(wantsNodeLocal(facts) ? NODE_LOCAL : {}) },
    },
  };
  const merged = [wanted, ...given].reduce(mergeDocuments, defaults);
  const api = objectAt(merged, 'spec', 'api');
  const sans = [
    ...stringsAt(defaults, 'spec', 'api', 'sans'),
    ...facts.masters,
    ...facts.certSANs,
    ...documentedSans(facts.documents),
    ...externalHost(api.externalAddress),
  ];
  return mergeDocuments(merged, {
    metadata: { name: 'k0s' },
    spec: {
      api: { address, sans: [...new Set(sans)] },
      ...(hasOwnEtcd(merged) ? { storage: { etcd: { peerAddress: address } } } : {}),
    },
  });
}

/** {@link k0sConfig} as the text of a file, from what `k0s config create` printed. @throws SlipwayError E_CLUSTER_STATE */
export function k0sConfigText(defaults: string, facts: K0sFacts, address: string): string {
  let value: unknown;
  try {
    value = parse(defaults);
  } catch {
    value = undefined;
  }
  if (!isObject(value)) {
    throw new SlipwayError('E_CLUSTER_STATE', `${address}: "k0s config create" does not print a ClusterConfig`);
  }
  return stringify(k0sConfig(value, facts, address), { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Names that documents want in the certificates of API servers. Pure. */
export function documentedSans(documents: readonly JsonObject[]): readonly string[] {
  return clusterConfigs(documents).flatMap((document) => stringsAt(document, 'spec', 'api', 'sans'));
}

/** Why this version cannot have as many controllers as are wanted; undefined when it can. Pure. */
export function severalMastersProblem(facts: K0sFacts): string | undefined {
  if (facts.masters.length < 2) return undefined;
  const config = k0sConfig({}, facts, facts.masters[0] ?? '');
  if (!hasOwnEtcd(config) && objectAt(config, 'spec', 'storage').type === 'kine') {
    const { dataSource } = objectAt(config, 'spec', 'storage', 'kine');
    if (typeof dataSource !== 'string' || dataSource === '' || dataSource.startsWith('sqlite:')) {
      return 'its ClusterConfig keeps the state in SQLite, which several masters cannot share';
    }
  }
  if (externalHost(objectAt(config, 'spec', 'api').externalAddress).length > 0) return undefined;
  if (objectAt(config, 'spec', 'network', 'nodeLocalLoadBalancing').enabled === true) return undefined;
  return k0sAbilities(facts.version).nodeLocalLoadBalancing
    ? 'its ClusterConfig turns nodeLocalLoadBalancing off and names no spec.api.externalAddress: workers would know one master only'
    : `k0s ${facts.version} cannot lead workers to several masters by itself (v1.29 and later can)`;
}

/** Whether controllers keep their state in an etcd of their own. Pure. */
export function hasOwnEtcd(config: JsonObject): boolean {
  const storage = objectAt(config, 'spec', 'storage');
  if (storage.type !== undefined && storage.type !== 'etcd') return false;
  return Object.keys(objectAt(storage, 'etcd', 'externalCluster')).length === 0;
}

/** The networks of pods and services, as the documents have them or the defaults; of dual stack both. */
export function networksOf(documents: readonly JsonObject[]): {
  readonly podCIDR: string;
  readonly serviceCIDR: string;
} {
  const network = objectAt(clusterConfigs(documents).reduce<JsonObject>(mergeDocuments, {}), 'spec', 'network');
  const both = (first: unknown, second: unknown, fallback: string): string =>
    [String(first ?? fallback), ...(dualStack.enabled === true && second !== undefined ? [String(second)] : [])].join(
      ',',
    );
  const dualStack = objectAt(network, 'dualStack');
  return {
    podCIDR: both(network.podCIDR, dualStack.IPv6podCIDR, POD_CIDR),
    serviceCIDR: both(network.serviceCIDR, dualStack.IPv6serviceCIDR, SERVICE_CIDR),
  };
}

/** A proxy on every node spreads its requests over the API servers of all controllers, and finds those that come later. */
const NODE_LOCAL: JsonObject = { nodeLocalLoadBalancing: { enabled: true, type: 'EnvoyProxy' } };

/** k0s refuses it beside an external address: then the author has a balancer of their own. */
function wantsNodeLocal({ version, documents }: K0sFacts): boolean {
  if (!k0sAbilities(version).nodeLocalLoadBalancing) return false;
  return clusterConfigs(documents).every(
    (document) => externalHost(objectAt(document, 'spec', 'api').externalAddress).length === 0,
  );
}

/** Documents of k0s among those of a cluster. */
function clusterConfigs(documents: readonly JsonObject[]): readonly JsonObject[] {
  return documents
    .filter(({ apiVersion, kind }) => kind === 'ClusterConfig' && String(apiVersion).startsWith('k0s.k0sproject.io/'))
    .map(({ metadata: _, ...rest }) => rest);
}

function externalHost(value: unknown): string[] {
  if (typeof value !== 'string' || value === '') return [];
  if (isIPv6(value)) return [value];
  const [, host = value] = /^\[?(.*?)\]?(?::\d+)?$/.exec(value) ?? [];
  return [host];
}

function objectAt(value: JsonObject, ...path: readonly string[]): JsonObject {
  const found = path.reduce<unknown>((inner, key) => (isObject(inner) ? inner[key] : undefined), value);
  return isObject(found) ? found : {};
}

function stringsAt(value: JsonObject, ...path: readonly string[]): readonly string[] {
  const list = objectAt(value, ...path.slice(0, -1))[path.at(-1) ?? ''];
  return Array.isArray(list) ? list.map(String) : [];
}
