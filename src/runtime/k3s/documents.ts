import { SlipwayError } from '../../base/errors.js';
import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';
import type { K3sRole } from './paths.js';

/** What the K3sConfig documents say, for each of the two services: keys of k3s' `config.yaml`. */
export type K3sDocuments = Readonly<Record<K3sRole, JsonObject>>;

/** Keys that this driver gives itself: another value would break what it does. */
const OURS: Readonly<Record<string, string>> = {
  token: 'k3s makes it, and joins read it from a master',
  'token-file': 'k3s makes the token, and joins read it from a master',
  server: 'it is the address of a master',
  'cluster-init': 'it is given when there are several masters',
  'cluster-reset': 'it would forget the other masters at every start',
  'data-dir': 'k3s is looked for where it has its data by itself',
  'node-ip': 'it is the address of the host',
  'node-name': 'it is the name of the host',
  'https-listen-port': 'masters are asked at 6443',
  'write-kubeconfig': 'it is looked for where k3s has it by itself',
  'private-registry': 'the settings of registries are written where k3s looks by itself',
  'datastore-endpoint': 'clusters have etcd inside, or SQLite with one master',
  'disable-agent': 'masters are nodes',
  docker: 'containerd inside k3s is set up, nothing else',
  'container-runtime-endpoint': 'containerd inside k3s is set up, nothing else',
  rootless: 'k3s runs as root',
};

/** One letter is a flag of one letter to k3s, and some are short for settings. Source: k3s, pkg/configfilearg/parser.go, pkg/cli/cmds. */
const SHORT: Readonly<Record<string, string>> = {
  d: 'data-dir',
  i: 'node-ip',
  o: 'write-kubeconfig',
  s: 'server',
  t: 'token',
};

/** Whether a setting is this driver's to give. */
export function isOwnKey(key: string): boolean {
  return Object.hasOwn(OURS, SHORT[key] ?? key);
}

/** Lists that documents share instead of one hiding the other's. */
const UNIONS = new Set(['tls-san', 'disable', 'node-label', 'node-taint']);

/**
 * Merges the K3sConfig documents, later ones over earlier ones; documents of other kinds are somebody else's and left out. Pure.
 *
 * `kind: K3sConfig` with `spec.server` and `spec.agent`, each what k3s' own `config.yaml` would say on masters and on workers.
 * @throws SlipwayError E_CLUSTERFILE for a document that is none, and for a key that is not the user's to give.
 */
export function k3sDocuments(documents: readonly JsonObject[]): K3sDocuments {
  let merged: K3sDocuments = { server: {}, agent: {} };
  for (const document of documents) {
    if (document.kind !== 'K3sConfig') continue;
    const { spec = {} } = document;
    if (!isObject(spec)) throw wrong('spec is not a map');
    for (const [role, keys] of Object.entries(spec)) {
      if (role !== 'server' && role !== 'agent') throw wrong(`spec.${role} is unknown; known are server and agent`);
      if (keys === null) continue;
      if (!isObject(keys)) throw wrong(`spec.${role} is not a map`);
      checkKeys(role, keys);
      merged = { ...merged, [role]: mergeSettings(merged[role], keys) };
    }
  }
  return merged;
}

/** Lays settings over others: of some lists both count. Pure. */
export function mergeSettings(base: JsonObject, over: JsonObject): JsonObject {
  const merged = mergeDocuments(base, over);
  const unions = Object.keys(over).filter((key) => UNIONS.has(key) && over[key] !== null && base[key] !== undefined);
  const lists = unions.map((key) => [key, [...new Set([...listOf(base[key]), ...listOf(over[key])])]] as const);
  return { ...merged, ...Object.fromEntries(lists) };
}

/** A setting that may be given as a list, as one value, or as several with commas between. Pure. */
export function listOf(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).flatMap((one) => String(one).split(',')).filter((one) => one !== '');
}

function checkKeys(role: K3sRole, keys: JsonObject): void {
  for (const [key, value] of Object.entries(keys)) {
    const reason = isOwnKey(key) ? OURS[SHORT[key] ?? key] : undefined;
    if (reason !== undefined) throw wrong(`spec.${role}.${key} is not for a document to say: ${reason}`);
    if (!/^[a-z][a-z0-9-]*$/.test(key)) throw wrong(`spec.${role}.${key} is no setting of k3s`);
    const values = Array.isArray(value) ? value : [value];
    if (values.some((one) => typeof one === 'object' && one !== null)) {
      throw wrong(`spec.${role}.${key} is neither a value nor a list of values`);
    }
  }
}

function wrong(what: string): SlipwayError {
  return new SlipwayError('E_CLUSTERFILE', `K3sConfig: ${what}`, {
    hint: "spec.server and spec.agent hold what k3s' config.yaml says on masters and on workers, for example spec: {server: {disable: [traefik]}}",
  });
}
