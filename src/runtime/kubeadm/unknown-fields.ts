import { suggest } from '../../base/suggest.js';
import { isObject, type JsonObject } from '../kubernetes/merge.js';
import { isAtLeast } from '../kubernetes/version.js';
import { collectDocuments, type KubeadmKind } from './documents.js';

/** Fields of an object: of those with fields below, these; `true`: whatever is below is not looked at. */
interface Fields {
  readonly [name: string]: Fields | true;
}

const fields = (...names: readonly string[]): Fields => Object.fromEntries(names.map((name) => [name, true as const]));

const COMPONENT = fields('extraArgs', 'extraVolumes', 'extraEnvs');
const NODE_REGISTRATION = fields(
  ...['name', 'criSocket', 'taints', 'kubeletExtraArgs', 'ignorePreflightErrors', 'imagePullPolicy', 'imagePullSerial'],
);
const OF_INIT_AND_JOIN: Fields = {
  nodeRegistration: NODE_REGISTRATION,
  ...fields('skipPhases', 'patches', 'dryRun', 'timeouts'),
};

/**
 * What kubeadm's own documents may say, in any version of its API from v1beta2 to v1beta4: a document may be written for another version
 * than the one that is rendered (k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/{v1beta2,v1beta3,v1beta4}/types.go).
 */
const KNOWN: Readonly<Partial<Record<KubeadmKind, Fields>>> = {
  InitConfiguration: {
    ...OF_INIT_AND_JOIN,
    localAPIEndpoint: fields('advertiseAddress', 'bindPort'),
    ...fields('bootstrapTokens', 'certificateKey'),
  },
  JoinConfiguration: { ...OF_INIT_AND_JOIN, ...fields('caCertPath', 'discovery', 'controlPlane') },
  ClusterConfiguration: {
    apiServer: { ...COMPONENT, ...fields('certSANs', 'timeoutForControlPlane') },
    controllerManager: COMPONENT,
    scheduler: COMPONENT,
    networking: fields('serviceSubnet', 'podSubnet', 'dnsDomain'),
    ...fields('etcd', 'dns', 'proxy', 'kubernetesVersion', 'controlPlaneEndpoint', 'certificatesDir'),
    ...fields('imageRepository', 'useHyperKubeImage', 'featureGates', 'clusterName', 'encryptionAlgorithm'),
    ...fields('certificateValidityPeriod', 'caCertificateValidityPeriod'),
  },
};

/**
 * Fields that came later than v1beta2, with the release whose kubeadm reads them first. What can be said in another way before is not
 * here ({@link renderDocuments}), nor is what is done without kubeadm (caCertificateValidityPeriod).
 */
const SINCE: readonly (readonly [release: string, kind: KubeadmKind, path: string])[] = [
  ...(['InitConfiguration', 'JoinConfiguration'] as const).flatMap((kind) => [
    ['1.22', kind, 'patches'] as const,
    ['1.22', kind, 'nodeRegistration.imagePullPolicy'] as const,
    ['1.31', kind, 'nodeRegistration.imagePullSerial'] as const,
    ['1.31', kind, 'dryRun'] as const,
    ...['etcdAPICall', 'kubeletHealthCheck', 'kubernetesAPICall', 'tlsBootstrap', 'upgradeManifests'].map(
      (name) => ['1.31', kind, `timeouts.${name}`] as const,
    ),
  ]),
  ...['apiServer', 'controllerManager', 'scheduler', 'etcd.local'].map(
    (component) => ['1.31', 'ClusterConfiguration', `${component}.extraEnvs`] as const,
  ),
  ['1.31', 'ClusterConfiguration', 'dns.disabled'],
  ['1.31', 'ClusterConfiguration', 'proxy.disabled'],
  ['1.31', 'ClusterConfiguration', 'encryptionAlgorithm'],
  ['1.31', 'ClusterConfiguration', 'certificateValidityPeriod'],
];

/** Fields that kubeadm of this version passes over, because they came later, or because Slipway says something else there. Pure. */
export function unheededFields(version: string, documents: readonly JsonObject[]): readonly string[] {
  const collected = collectDocuments(documents);
  const said = (kind: KubeadmKind, path: string): boolean =>
    path.split('.').reduce<unknown>((found, key) => (isObject(found) ? found[key] : undefined), collected[kind]) !=
    null;
  return [
    ...SINCE.filter(([release, kind, path]) => said(kind, path) && !isAtLeast(version, release)).map(
      ([release, kind, path]) => `${kind}: ${path} is passed over by kubeadm ${version}, and read from v${release} on`,
    ),
    ...['bootstrapToken', 'file', 'tlsBootstrapToken']
      .filter((name) => said('JoinConfiguration', `discovery.${name}`))
      .map((name) => `JoinConfiguration: discovery.${name} is passed over: each join gets a token of its own`),
  ];
}

/**
 * Fields that kubeadm does not know: it logs that it passes them over, on a host, and installs the cluster without what somebody wanted.
 * kubelet and kube-proxy refuse their own by themselves. Pure.
 */
export function unknownFields(documents: readonly JsonObject[]): readonly string[] {
  return documents.flatMap((document) => {
    const { apiVersion: _, kind, metadata: __, ...said } = document;
    const known = Object.hasOwn(KNOWN, String(kind)) ? KNOWN[kind as KubeadmKind] : undefined;
    return known === undefined ? [] : unknownIn(said, known, `${kind}: `);
  });
}

function unknownIn(said: JsonObject, known: Fields, path: string): readonly string[] {
  return Object.entries(said).flatMap(([name, value]) => {
    const below = Object.hasOwn(known, name) ? known[name] : undefined;
    if (below === undefined) {
      const meant = suggest(name, Object.keys(known));
      return [
        `${path}${name} is no field that kubeadm knows, and is passed over${meant === undefined ? '' : `; did you mean ${meant}?`}`,
      ];
    }
    return below === true || !isObject(value) ? [] : unknownIn(value, below, `${path}${name}.`);
  });
}
