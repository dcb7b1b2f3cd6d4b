import { isDeepStrictEqual } from 'node:util';
import type { ClusterContext } from '../driver.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { collectDocuments, type KubeadmDocuments, type KubeadmKind } from './documents.js';

/** Read once, by `kubeadm init`; what came of them is kept in the cluster, where joins and upgrades find it. */
const READ_ONCE: readonly KubeadmKind[] = [
  'InitConfiguration',
  'ClusterConfiguration',
  'KubeletConfiguration',
  'KubeProxyConfiguration',
];

/** The names that documents want in the API servers' certificates, and others that are given. */
export function wantedNames({ configDocuments, certSANs }: ClusterContext): readonly string[] {
  const { apiServer } = collectDocuments(configDocuments).ClusterConfiguration;
  const given: unknown = isObject(apiServer) ? apiServer.certSANs : undefined;
  return [...new Set([...certSANs, ...(Array.isArray(given) ? given.map(String) : [])])];
}

/**
 * Documents that say something else than before, which a cluster that is up does not hear. Names for certificates are brought there
 * ({@link wantedNames}), and a JoinConfiguration is for whoever joins.
 */
export function ignoredChange(
  before: ClusterContext['configDocuments'],
  now: ClusterContext['configDocuments'],
): string | undefined {
  const [old, wanted] = [withoutNames(collectDocuments(before)), withoutNames(collectDocuments(now))];
  const changed = READ_ONCE.flatMap((kind) => {
    const fields = changedFields(old[kind], wanted[kind]);
    return fields.length === 0 ? [] : [`${kind} (${fields.join(', ')})`];
  });
  if (changed.length === 0) return undefined;
  return `${changed.join(' and ')}: changed, and kubeadm reads ${changed.length === 1 ? 'it' : 'them'} only when a cluster begins: what runs stays as it is (see "Reconfiguring a kubeadm cluster" in the documentation of Kubernetes)`;
}

function changedFields(before: JsonObject, now: JsonObject): readonly string[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return fields.filter((field) => !isDeepStrictEqual(before[field], now[field]));
}

function withoutNames(documents: KubeadmDocuments): KubeadmDocuments {
  const { apiServer, ...rest } = documents.ClusterConfiguration;
  if (!isObject(apiServer)) return documents;
  const { certSANs: _, ...others } = apiServer;
  return {
    ...documents,
    ClusterConfiguration: Object.keys(others).length === 0 ? rest : { ...rest, apiServer: others },
  };
}
