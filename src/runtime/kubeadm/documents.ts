import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';

/** The documents that kubeadm reads, each as one object without `apiVersion` and `kind`, in the form that {@link neutral} gives. */
export interface KubeadmDocuments {
  readonly InitConfiguration: JsonObject;
  readonly ClusterConfiguration: JsonObject;
  readonly JoinConfiguration: JsonObject;
  readonly KubeletConfiguration: JsonObject;
  readonly KubeProxyConfiguration: JsonObject;
}

export type KubeadmKind = keyof KubeadmDocuments;

export const NO_DOCUMENTS: KubeadmDocuments = {
  InitConfiguration: {},
  ClusterConfiguration: {},
  JoinConfiguration: {},
  KubeletConfiguration: {},
  KubeProxyConfiguration: {},
};

/** Where each kind has maps of program arguments, which v1beta4 writes as lists. */
export const ARGUMENT_PATHS: Readonly<Partial<Record<KubeadmKind, readonly (readonly string[])[]>>> = {
  InitConfiguration: [['nodeRegistration', 'kubeletExtraArgs']],
  JoinConfiguration: [['nodeRegistration', 'kubeletExtraArgs']],
  ClusterConfiguration: [
    ['apiServer', 'extraArgs'],
    ['controllerManager', 'extraArgs'],
    ['scheduler', 'extraArgs'],
    ['etcd', 'local', 'extraArgs'],
  ],
};

/**
 * Sorts documents by kind and merges those of one kind, later ones over earlier ones. Kinds that kubeadm does not know are somebody
 * else's and left out. Documents may be written for any version of the API: arguments become maps from name to text, or to a list of
 * texts for one that is given several times.
 */
export function collectDocuments(documents: readonly JsonObject[]): KubeadmDocuments {
  const collected: Record<KubeadmKind, JsonObject> = { ...NO_DOCUMENTS };
  for (const document of documents) {
    const { kind } = document;
    if (typeof kind !== 'string' || !Object.hasOwn(collected, kind)) continue;
    const known = kind as KubeadmKind;
    collected[known] = mergeDocuments(collected[known], neutral(known, document));
  }
  return collected;
}

/** Lays `over` over `base`, kind by kind. */
export function mergeAll(base: KubeadmDocuments, over: KubeadmDocuments): KubeadmDocuments {
  return {
    InitConfiguration: mergeDocuments(base.InitConfiguration, over.InitConfiguration),
    ClusterConfiguration: mergeDocuments(base.ClusterConfiguration, over.ClusterConfiguration),
    JoinConfiguration: mergeDocuments(base.JoinConfiguration, over.JoinConfiguration),
    KubeletConfiguration: mergeDocuments(base.KubeletConfiguration, over.KubeletConfiguration),
    KubeProxyConfiguration: mergeDocuments(base.KubeProxyConfiguration, over.KubeProxyConfiguration),
  };
}

/** A copy of `value` in which the object at `path` is what `change` makes of it; `value` itself when nothing is there. */
export function changeAt(value: JsonObject, path: readonly string[], change: (found: unknown) => unknown): JsonObject {
  const [first, ...rest] = path;
  if (first === undefined || !Object.hasOwn(value, first)) return value;
  const found = value[first];
  if (rest.length === 0) return { ...value, [first]: change(found) };
  return isObject(found) ? { ...value, [first]: changeAt(found, rest, change) } : value;
}

function neutral(kind: KubeadmKind, document: JsonObject): JsonObject {
  const { apiVersion: _version, kind: _kind, ...fields } = document;
  return (ARGUMENT_PATHS[kind] ?? []).reduce<JsonObject>(
    (changed, path) => changeAt(changed, path, argumentMap),
    fields,
  );
}

/** `[{name, value}]` (v1beta4) or a map → a map; numbers and booleans become the text that a command line needs. */
function argumentMap(value: unknown): unknown {
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([name, text]) => [name, argumentText(text)]));
  if (!Array.isArray(value)) return value;
  const map: Record<string, unknown> = {};
  for (const item of value) {
    if (!isObject(item) || typeof item.name !== 'string') continue;
    const text = argumentText(item.value);
    const before = map[item.name];
    map[item.name] = before === undefined ? text : [...(Array.isArray(before) ? before : [before]), text];
  }
  return map;
}

function argumentText(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}
