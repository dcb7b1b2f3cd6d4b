import { stringify } from 'yaml';
import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';
import type { KubeadmApi } from './api-version.js';
import { ARGUMENT_PATHS, changeAt, type KubeadmDocuments, type KubeadmKind } from './documents.js';

/** What kubeadm is given: a file for `--config`, and flags for what its version cannot read from a file. */
export interface KubeadmInput {
  readonly file: string;
  readonly flags: readonly string[];
}

/**
 * Writes documents as the YAML that a version of the API reads, and says what must be given as flags.
 * What differs between the versions is all here:
 * - v1beta2 has no `skipPhases` (it is `--skip-phases`);
 * - v1beta3 dropped `dns.type` and `useHyperKubeImage`;
 * - the lives of certificates are said from v1beta4 on;
 * - v1beta4 writes extra arguments as lists, and keeps time-outs in `timeouts` of Init- and JoinConfiguration.
 * Source: kubeadm's `apis/kubeadm/v1beta{2,3,4}/types.go`.
 */
export function renderDocuments(
  documents: KubeadmDocuments,
  kinds: readonly KubeadmKind[],
  api: KubeadmApi,
): KubeadmInput {
  const converted = convert(documents, api);
  const flags = kinds.flatMap((kind) => (api === 'v1beta2' ? skipPhaseFlags(converted[kind]) : []));
  const texts = kinds.flatMap((kind) => {
    const fields = api === 'v1beta2' ? without(converted[kind], 'skipPhases') : converted[kind];
    // kubeadm fills in the component documents itself: an empty one says nothing.
    if (COMPONENT_VERSIONS[kind] !== undefined && Object.keys(fields).length === 0) return [];
    const apiVersion = COMPONENT_VERSIONS[kind] ?? `kubeadm.k8s.io/${api}`;
    return [stringify({ apiVersion, kind, ...fields }, { lineWidth: 0, aliasDuplicateObjects: false })];
  });
  return { file: texts.join('---\n'), flags };
}

const COMPONENT_VERSIONS: Readonly<Partial<Record<KubeadmKind, string>>> = {
  KubeletConfiguration: 'kubelet.config.k8s.io/v1beta1',
  KubeProxyConfiguration: 'kubeproxy.config.k8s.io/v1alpha1',
};

function convert(documents: KubeadmDocuments, api: KubeadmApi): KubeadmDocuments {
  let { InitConfiguration: init, ClusterConfiguration: cluster, JoinConfiguration: join } = documents;
  if (api !== 'v1beta2') {
    cluster = without(cluster, 'useHyperKubeImage');
    cluster = changeAt(cluster, ['dns'], (dns) => (isObject(dns) ? without(dns, 'type') : dns));
  }
  if (api !== 'v1beta4') {
    cluster = without(without(cluster, 'certificateValidityPeriod'), 'caCertificateValidityPeriod');
    const health = at(init, 'timeouts', 'controlPlaneComponentHealthCheck');
    if (health !== undefined) cluster = mergeDocuments({ apiServer: { timeoutForControlPlane: health } }, cluster);
    const discovery = at(join, 'timeouts', 'discovery');
    if (discovery !== undefined) join = mergeDocuments({ discovery: { timeout: discovery } }, join);
    [init, join] = [without(init, 'timeouts'), without(join, 'timeouts')];
  } else {
    const health = at(cluster, 'apiServer', 'timeoutForControlPlane');
    if (health !== undefined) {
      init = mergeDocuments({ timeouts: { controlPlaneComponentHealthCheck: health } }, init);
      join = mergeDocuments({ timeouts: { controlPlaneComponentHealthCheck: health } }, join);
      cluster = changeAt(cluster, ['apiServer'], (server) =>
        isObject(server) ? without(server, 'timeoutForControlPlane') : server,
      );
    }
    const discovery = at(join, 'discovery', 'timeout');
    if (discovery !== undefined) {
      join = mergeDocuments({ timeouts: { discovery } }, join);
      join = changeAt(join, ['discovery'], (found) => (isObject(found) ? without(found, 'timeout') : found));
    }
  }
  const write = api === 'v1beta4' ? argumentList : lastArguments;
  const result = { ...documents, InitConfiguration: init, ClusterConfiguration: cluster, JoinConfiguration: join };
  for (const [kind, paths] of Object.entries(ARGUMENT_PATHS) as [KubeadmKind, readonly (readonly string[])[]][]) {
    result[kind] = paths.reduce((document, path) => changeAt(document, path, write), result[kind]);
  }
  return result;
}

/** v1beta4: `[{name, value}]`, sorted by name, one item for each value. */
function argumentList(value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, values]) => (Array.isArray(values) ? values : [values]).map((text) => ({ name, value: text })));
}

/** Up to v1beta3 an argument has one value: of several the last, which is the one that a program obeys. */
function lastArguments(value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, values]) => [name, Array.isArray(values) ? values.at(-1) : values]),
  );
}

function skipPhaseFlags(document: JsonObject): string[] {
  const { skipPhases } = document;
  if (!Array.isArray(skipPhases) || skipPhases.length === 0) return [];
  return [`--skip-phases=${skipPhases.map(String).join(',')}`];
}

function without(value: JsonObject, key: string): JsonObject {
  const { [key]: _left, ...rest } = value;
  return rest;
}

function at(value: JsonObject, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), value);
}
