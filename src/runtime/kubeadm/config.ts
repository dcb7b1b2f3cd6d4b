import { isIPv6 } from 'node:net';
import { API_SERVER_NAME } from '../etc-hosts.js';
import { isObject, type JsonObject, mergeDocuments } from '../kubernetes/merge.js';
import { isAtLeast } from '../kubernetes/version.js';
import { kubeadmApi } from './api-version.js';
import { collectDocuments, type KubeadmDocuments, mergeAll, NO_DOCUMENTS } from './documents.js';
import { PATHS } from './paths.js';
import { type KubeadmInput, renderDocuments } from './render.js';

export const API_SERVER_PORT = 6443;
/** Where workers of a cluster with several masters will find the API servers; in the certificate from the start. sealer's default. */
export const API_SERVER_VIP = '10.103.97.2';

/** sealer's default networks. */
const POD_SUBNET = '100.64.0.0/10';
const SERVICE_SUBNET = '10.96.0.0/22';

/** How long the token lives that `kubeadm init` insists on making; joins are given their own. */
const INIT_TOKEN_TTL = '15m0s';

/** What the configuration is made from. */
export interface KubeadmFacts {
  /** `v1.20.2` */
  readonly version: string;
  readonly masters: readonly string[];
  /** A cluster without workers runs its pods on the masters. */
  readonly hasWorkers: boolean;
  readonly certSANs: readonly string[];
  /** What was found out about the first master; empty when it does not matter. */
  readonly abilities?: HostAbilities;
  /** The image's and the user's documents, in this order. */
  readonly documents: readonly JsonObject[];
}

/** What a host can do that the configuration must know. */
export interface HostAbilities {
  /** `systemd` or `cgroupfs`, as the container runtime was set up; undefined when that is not known. */
  readonly cgroupDriver: string | undefined;
  /** Whether kube-proxy can set the size of the connection table. */
  readonly conntrackWritable: boolean;
}

/** The address of the API servers that all nodes use. */
export interface ControlPlaneEndpoint {
  /** A name or an IP address, without brackets. */
  readonly name: string;
  readonly port: number;
  /** /etc/hosts maps it. False when a document names another endpoint, which then is the author's to provide. */
  readonly managed: boolean;
}

/** The configuration for `kubeadm init` on `address`. Pure. */
export function initConfig(facts: KubeadmFacts, address: string): KubeadmInput {
  const merged = mergedDocuments(facts, address);
  return renderDocuments(
    merged,
    ['InitConfiguration', 'ClusterConfiguration', 'KubeletConfiguration', 'KubeProxyConfiguration'],
    kubeadmApi(facts.version),
  );
}

/** The configuration for `kubeadm init phase upload-certs`: the certificates are encrypted with `certificateKey`. */
export function uploadCertsConfig(facts: KubeadmFacts, address: string, certificateKey: string): KubeadmInput {
  const merged = mergedDocuments(facts, address);
  const init = mergeDocuments(merged.InitConfiguration, { certificateKey, skipPhases: null });
  return renderDocuments(
    { ...merged, InitConfiguration: init },
    ['InitConfiguration', 'ClusterConfiguration'],
    kubeadmApi(facts.version),
  );
}

/** The configuration for commands of kubeadm that work on a master's certificates without asking the cluster. Pure. */
export function certificatesConfig(facts: KubeadmFacts, address: string): KubeadmInput {
  const merged = mergedDocuments(facts, address);
  const init = mergeDocuments(merged.InitConfiguration, { skipPhases: null });
  return renderDocuments(
    { ...merged, InitConfiguration: init },
    ['InitConfiguration', 'ClusterConfiguration'],
    kubeadmApi(facts.version),
  );
}

/**
 * The configuration for `kubeadm join` on `address`, which finds the cluster and its credentials in {@link PATHS.discovery}. Pure.
 * With a token instead (`discovery.bootstrapToken`) it would first wait until the controller manager has signed `cluster-info`, which after
 * `kubeadm init` takes ten to twenty seconds in which a kubelet can start; the whole CA stands in the file, where a token pins a hash of its key.
 * @param certificateKey makes the node a further control plane
 */
export function joinConfig(facts: KubeadmFacts, address: string, certificateKey?: string): KubeadmInput {
  const { JoinConfiguration: given, ClusterConfiguration } = collectDocuments(facts.documents);
  const { controlPlane, discovery, ...rest } = given;
  const generated: JsonObject = {
    discovery: {
      ...(isObject(discovery) && discovery.timeout !== undefined ? { timeout: discovery.timeout } : {}),
      file: { kubeConfigPath: PATHS.discovery },
    },
    nodeRegistration: nodeRegistration(facts, address, certificateKey !== undefined),
  };
  const plane =
    certificateKey === undefined
      ? {}
      : {
          controlPlane: mergeDocuments(isObject(controlPlane) ? controlPlane : {}, {
            localAPIEndpoint: { advertiseAddress: address, bindPort: API_SERVER_PORT },
            certificateKey,
          }),
        };
  const merged = mergeDocuments({ ...generated, ...plane }, rest);
  return renderDocuments(
    // Of the cluster's something is said by whoever joins from v1beta4 on.
    { ...NO_DOCUMENTS, ClusterConfiguration, JoinConfiguration: merged },
    ['JoinConfiguration'],
    kubeadmApi(facts.version),
  );
}

/** The endpoint in the merged ClusterConfiguration. */
export function controlPlaneEndpoint(facts: KubeadmFacts): ControlPlaneEndpoint {
  const given = collectDocuments(facts.documents).ClusterConfiguration.controlPlaneEndpoint;
  if (typeof given !== 'string' || given === '') {
    return { name: API_SERVER_NAME, port: API_SERVER_PORT, managed: true };
  }
  // As kubeadm's ParseHostPort: an IPv6 address with a port is in brackets, one without is not.
  const [, bracketed, name, port] = (isIPv6(given) ? undefined : /^(?:\[(.+)\]|(.*?))(?::(\d+))?$/.exec(given)) ?? [];
  const host = bracketed ?? name ?? given;
  return { name: host, port: port === undefined ? API_SERVER_PORT : Number(port), managed: host === API_SERVER_NAME };
}

/** The networks of pods and services, as the documents have them or the defaults. */
export function networksOf(documents: readonly JsonObject[]): {
  readonly podCIDR: string;
  readonly serviceCIDR: string;
} {
  const { networking } = mergeDocuments(
    { networking: { podSubnet: POD_SUBNET, serviceSubnet: SERVICE_SUBNET } },
    collectDocuments(documents).ClusterConfiguration,
  );
  const { podSubnet, serviceSubnet } = isObject(networking) ? networking : {};
  return { podCIDR: String(podSubnet ?? POD_SUBNET), serviceCIDR: String(serviceSubnet ?? SERVICE_SUBNET) };
}

function mergedDocuments(facts: KubeadmFacts, address: string): KubeadmDocuments {
  const given = collectDocuments(facts.documents);
  const { name } = controlPlaneEndpoint(facts);
  const { cgroupDriver, conntrackWritable = true } = facts.abilities ?? {};
  const generated: KubeadmDocuments = {
    ...NO_DOCUMENTS,
    InitConfiguration: {
      bootstrapTokens: [{ ttl: INIT_TOKEN_TTL, description: 'made by kubeadm init, not used' }],
      localAPIEndpoint: { advertiseAddress: address, bindPort: API_SERVER_PORT },
      nodeRegistration: nodeRegistration(facts, address, true),
    },
    ClusterConfiguration: {
      kubernetesVersion: facts.version,
      controlPlaneEndpoint: `${API_SERVER_NAME}:${API_SERVER_PORT}`,
      networking: { podSubnet: POD_SUBNET, serviceSubnet: SERVICE_SUBNET, dnsDomain: 'cluster.local' },
      apiServer: {
        certSANs: [
          ...new Set(['127.0.0.1', API_SERVER_NAME, name, API_SERVER_VIP, ...facts.masters, ...facts.certSANs]),
        ],
      },
    },
    KubeletConfiguration: cgroupDriver === undefined ? {} : { cgroupDriver },
    // kube-proxy ends itself when it may not set what it was told to set (a host that is a container).
    KubeProxyConfiguration: conntrackWritable ? {} : { conntrack: { maxPerCore: 0 } },
  };
  return mergeAll(generated, given);
}

function nodeRegistration(facts: KubeadmFacts, address: string, master: boolean): JsonObject {
  return {
    criSocket: containerdSocket(facts.version),
    // A host with several addresses must not choose for itself.
    kubeletExtraArgs: { 'node-ip': address },
    ...(master && !facts.hasWorkers ? { taints: [] } : {}),
  };
}

/** kubeadm wants a URL from 1.24 on, and only a path before. */
export function containerdSocket(version: string): string {
  const path = '/run/containerd/containerd.sock';
  return isAtLeast(version, '1.24') ? `unix://${path}` : path;
}
