import { parse } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterDescription } from '../driver.js';
import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';
import { listNodes } from './cluster.js';
import { k0sStatus } from './health.js';
import { PATHS } from './paths.js';
import { parseK0sVersion } from './versions.js';

/** What a controller says of its cluster: the version that runs, and the configuration that it was started with. @throws SlipwayError */
export async function describeCluster(master: Host): Promise<ClusterDescription> {
  const version = (await k0sStatus(master))?.version;
  if (version === undefined) throw new SlipwayError('E_CLUSTER_STATE', `${master.address}: no k0s runs`);
  const nodes = await listNodes(master);
  return describe((await master.readFile(PATHS.config))?.toString('utf8') ?? '', {
    version,
    addresses: [master.address, ...nodes.flatMap(({ addresses }) => addresses)],
    where: master.address,
  });
}

/**
 * Reads a controller's configuration. What is of this controller alone is left out, and so are names of certificates that are addresses of
 * nodes: whoever makes it anew knows them. Without a file k0s has its defaults. Pure.
 */
export function describe(
  text: string,
  {
    version,
    addresses,
    where,
  }: { readonly version: string; readonly addresses: readonly string[]; readonly where: string },
): ClusterDescription {
  parseK0sVersion(version);
  if (text.trim() === '') return { version, configDocuments: [], certSANs: [] };
  const value = read(text);
  if (!isObject(value) || value.kind !== 'ClusterConfig' || !isObject(value.spec ?? {})) {
    throw new SlipwayError('E_CLUSTER_STATE', `${where}: ${PATHS.config} is no ClusterConfig`);
  }
  const spec = isObject(value.spec) ? value.spec : {};
  const sans = isObject(spec.api) && Array.isArray(spec.api.sans) ? spec.api.sans.map(String) : [];
  const shared: JsonObject = withoutEmpty(
    mergeDocuments(spec, {
      ...(isObject(spec.api) ? { api: { address: null, sans: null } } : {}),
      ...(isObject(spec.storage) && isObject(spec.storage.etcd) ? { storage: { etcd: { peerAddress: null } } } : {}),
    }),
  );
  return {
    version,
    configDocuments: [{ apiVersion: value.apiVersion, kind: value.kind, spec: shared }],
    certSANs: sans.filter((name) => !addresses.includes(name)),
  };
}

function withoutEmpty(spec: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(spec).filter(([, value]) => !isObject(value) || Object.keys(value).length > 0),
  );
}

function read(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
