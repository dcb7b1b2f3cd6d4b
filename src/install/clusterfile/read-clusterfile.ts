import { suggest } from '../../base/suggest.js';
import { CLUSTERFILE_SOURCE, type PluginSpec } from '../spec/plugin-spec.js';
import { checkDocument } from './check-document.js';
import { readPlugin } from './read-plugin.js';
import {
  type ApplicationDocument,
  applicationSchema,
  type ClusterDocument,
  type ClusterV1Document,
  type ConfigDocument,
  clusterSchema,
  clusterV1Schema,
  configSchema,
} from './schema.js';
import { mistakesError, readYamlDocuments, type YamlDocument } from './yaml-document.js';

/** A Clusterfile whose documents are what they should be, each for itself. */
export interface Clusterfile {
  readonly cluster: ClusterDocument;
  /** Where things are in the document of the cluster, by their paths in {@link cluster}. */
  readonly place: YamlDocument['place'];
  /** Names for the API server's certificate, which `sealer.io/v1` has in the cluster. */
  readonly certSANs: readonly string[];
  readonly configs: readonly ConfigDocument[];
  readonly plugins: readonly PluginSpec[];
  readonly application: PlacedApplication | undefined;
  /** Documents of kubeadm and of what it starts, of k0s, of k3s, as they are. */
  readonly runtimeDocuments: readonly Readonly<Record<string, unknown>>[];
}

/** What a Clusterfile says of applications. */
export interface PlacedApplication extends Pick<ApplicationDocument, 'metadata' | 'spec'> {
  readonly place: YamlDocument['place'];
}

/** A Clusterfile that is only read for its applications: of which cluster, where it says so, and what. */
export interface ApplicationFile {
  readonly clusterName: string | undefined;
  readonly application: PlacedApplication;
}

/** Documents of the runtimes: under which apiVersion their kinds are found. k3s has none of its own: its kind is ours. */
const RUNTIME_DOCUMENTS: readonly { readonly api: RegExp; readonly kinds: readonly string[] }[] = [
  {
    api: /^(?:kubeadm\.k8s\.io|kubelet\.config\.k8s\.io|kubeproxy\.config\.k8s\.io)\/\w+$/,
    kinds: [
      'InitConfiguration',
      'ClusterConfiguration',
      'JoinConfiguration',
      'KubeletConfiguration',
      'KubeProxyConfiguration',
    ],
  },
  { api: /^k0s\.k0sproject\.io\/\w+$/, kinds: ['ClusterConfig'] },
];
/** Kinds of sealer's Clusterfiles that this version does not read. */
const NOT_YET = ['ClusterConfig'];
const OURS = /^(?:slipway|sealer\.(?:io|cloud|aliyun\.com))\//;
const OUR_KINDS: readonly string[] = ['Cluster', 'Config', 'Plugin', 'Application', 'K3sConfig'];

/**
 * Reads a Clusterfile: one `Cluster`, at most one `Application`, and any number of `Config` and `Plugin` documents and of those of the
 * runtimes.
 * @param file its name, for places.
 * @throws SlipwayError E_CLUSTERFILE that lists every mistake with line and column.
 */
export function readClusterfile(text: string, file: string): Clusterfile {
  const { cluster, mistakes, ...documents } = readDocuments(text, file);
  if (cluster === undefined && mistakes.length === 0)
    mistakes.push(`${file}: there is no document of the kind Cluster`);
  if (mistakes.length > 0 || cluster === undefined) throw mistakesError(mistakes);
  return { ...cluster, ...documents };
}

/**
 * Reads what a Clusterfile says of applications; the cluster need not be in it.
 * @param file its name, for places.
 * @throws SlipwayError E_CLUSTERFILE that lists every mistake with line and column.
 */
export function readApplicationFile(text: string, file: string): ApplicationFile {
  const { cluster, application, mistakes } = readDocuments(text, file);
  if (application === undefined && mistakes.length === 0)
    mistakes.push(`${file}: there is no document of the kind Application`);
  if (mistakes.length > 0 || application === undefined) throw mistakesError(mistakes);
  return { clusterName: cluster?.cluster.metadata.name, application };
}

/** What is in a Clusterfile, as far as it could be read, and a line for each mistake. */
interface Documents extends Pick<Clusterfile, 'configs' | 'plugins' | 'application' | 'runtimeDocuments'> {
  readonly cluster: Pick<Clusterfile, 'cluster' | 'certSANs' | 'place'> | undefined;
  readonly mistakes: string[];
}

function readDocuments(text: string, file: string): Documents {
  const mistakes: string[] = [];
  const clusters: Documents['cluster'][] = [];
  const applications: (PlacedApplication | undefined)[] = [];
  const configs: ConfigDocument[] = [];
  const plugins: PluginSpec[] = [];
  const runtimeDocuments: Readonly<Record<string, unknown>>[] = [];
  const second = (document: YamlDocument, kind: string): void =>
    void mistakes.push(`${document.place([])}: a second ${kind}; a Clusterfile describes one`);
  for (const document of readYamlDocuments(text, file)) {
    const kind = kindOf(document, mistakes);
    if (kind === undefined) continue;
    if (kind === 'Cluster') {
      if (clusters.length > 0) second(document, kind);
      clusters.push(readCluster(document, mistakes));
    } else if (kind === 'Config') {
      const config = checkDocument(configSchema, document, mistakes);
      if (config !== undefined) configs.push(config);
    } else if (kind === 'Plugin') {
      const plugin = readPlugin(document, CLUSTERFILE_SOURCE, mistakes);
      if (plugin !== undefined) plugins.push(plugin);
    } else if (kind === 'Application') {
      if (applications.length > 0) second(document, kind);
      const application = checkDocument(applicationSchema, document, mistakes);
      applications.push(application === undefined ? undefined : { ...application, place: document.place });
    } else if (document.value !== undefined) runtimeDocuments.push(document.value);
  }
  const [cluster] = clusters;
  const [application] = applications;
  return { cluster, configs, plugins, application, runtimeDocuments, mistakes };
}

function kindOf({ value, place }: YamlDocument, mistakes: string[]): string | undefined {
  const { apiVersion, kind } = value ?? {};
  const wrong = (at: string, why: string): undefined => void mistakes.push(`${at}: ${why}`);
  if (value === undefined) return wrong(place([]), 'not a map with apiVersion and kind');
  if (typeof kind !== 'string') return wrong(place([]), 'kind is missing');
  if (typeof apiVersion !== 'string') return wrong(place([]), 'apiVersion is missing');
  const runtime = RUNTIME_DOCUMENTS.find(({ api }) => api.test(apiVersion));
  if (runtime !== undefined) {
    if (runtime.kinds.includes(kind)) return kind;
    return wrong(place(['kind']), `${apiVersion} has no kind ${kind}${didYouMean(kind, runtime.kinds)}`);
  }
  if (NOT_YET.includes(kind))
    return wrong(place(['kind']), `documents of the kind ${kind} are not supported by this version`);
  if (!OURS.test(apiVersion)) {
    return wrong(
      place(['apiVersion']),
      `unknown apiVersion ${apiVersion}; known are slipway/v1, sealer.io/v2, sealer.io/v1 and those of kubeadm, kubelet, kube-proxy and k0s`,
    );
  }
  if (OUR_KINDS.includes(kind)) return kind;
  const kinds = [...OUR_KINDS, ...RUNTIME_DOCUMENTS.flatMap((one) => one.kinds)];
  return wrong(place(['kind']), `unknown kind ${kind}${didYouMean(kind, kinds)}`);
}

function readCluster(
  document: YamlDocument,
  mistakes: string[],
): Pick<Clusterfile, 'cluster' | 'certSANs' | 'place'> | undefined {
  if (document.value?.apiVersion === 'sealer.io/v1') {
    const old = checkDocument(clusterV1Schema, document, mistakes);
    return old === undefined ? undefined : fromV1(old, document);
  }
  const cluster = checkDocument(clusterSchema, document, mistakes);
  return cluster === undefined ? undefined : { cluster, certSANs: [], place: document.place };
}

/** What a `sealer.io/v1` cluster says, in the words of today. Source: sealer, types/api/v1/cluster_types.go. */
function fromV1(
  { metadata, spec }: ClusterV1Document,
  document: YamlDocument,
): Pick<Clusterfile, 'cluster' | 'certSANs' | 'place'> {
  const { masters, nodes, certSANS = [], provider: _, ...rest } = spec;
  const lists = [
    { key: 'masters', ips: masters.ipList, roles: ['master'] },
    { key: 'nodes', ips: nodes?.ipList ?? [], roles: ['node'] },
  ].filter(({ ips }) => ips.length > 0);
  const place: YamlDocument['place'] = (path, key) => {
    const [, hosts, index, ips, ...more] = path;
    const list = typeof index === 'number' ? lists[index] : undefined;
    if (hosts !== 'hosts' || list === undefined) return document.place(path, key);
    return document.place(['spec', list.key, ...(ips === undefined ? [] : ['ipList']), ...more], key);
  };
  return {
    cluster: {
      apiVersion: 'slipway/v1',
      kind: 'Cluster',
      metadata,
      spec: { ...rest, hosts: lists.map(({ ips, roles }) => ({ ips, roles })) },
    },
    certSANs: certSANS,
    place,
  };
}

function didYouMean(word: string, candidates: readonly string[]): string {
  const near = suggest(word, candidates);
  return near === undefined ? '' : `; did you mean ${near}?`;
}
