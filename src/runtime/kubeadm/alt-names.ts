import { parse, stringify } from 'yaml';
import { SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterContext, DriverStep } from '../driver.js';
import { onHost } from '../kubernetes/ask.js';
import { entryMaster } from '../kubernetes/masters.js';
import { isObject, mergeDocuments } from '../kubernetes/merge.js';
import { nodeOf } from '../kubernetes/nodes.js';
import { kubeadmApi } from './api-version.js';
import { listCertificates } from './certificates.js';
import { listNodes } from './cluster.js';
import { API_SERVER_PORT } from './config.js';
import { processOf, restartComponent, servesItsCertificate } from './control-plane.js';
import { certSANsOf, readKubeadmConfig, replaceKubeadmConfig, withCertSANs } from './kubeadm-config.js';
import { PATHS } from './paths.js';

/** A place of our own beside the certificates, on the same file system; only root may look into it. */
const WORKSHOP = '/etc/kubernetes/slipway-certificates';

/**
 * Adds names to the certificate of a master's API server: kept in kubeadm-config first, so that masters that join and upgrades keep them,
 * then a certificate with these and all that it has is made beside the old one, and takes its place; then the API server starts
 * anew with it. Nothing else is restarted.
 */
export function addNamesStep(master: Host, cluster: ClusterContext, names: readonly string[]): DriverStep {
  const { rootfs } = cluster;
  const entry = entryMaster(cluster);
  return {
    title: `certificate of the API server for ${names.join(', ')}`,
    async done() {
      if (!(await hasNames(master, names)) || !(await servesItsCertificate(master, rootfs))) return false;
      const { data } = await readKubeadmConfig(entry, rootfs);
      return withCertSANs(data.ClusterConfiguration, names) === undefined;
    },
    async run(_note, signal) {
      const config = await readKubeadmConfig(entry, rootfs, signal);
      const changed = withCertSANs(config.data.ClusterConfiguration, names);
      if (changed !== undefined) await replaceKubeadmConfig(entry, rootfs, config, changed, signal);
      if (!(await hasNames(master, names))) {
        await makeCertificate(master, cluster, changed ?? config.data.ClusterConfiguration, signal);
      }
      if (!(await servesItsCertificate(master, rootfs))) {
        const before = await processOf(master, 'kube-apiserver');
        await restartComponent(master, rootfs, 'kube-apiserver', before, signal);
      }
    },
  };
}

async function hasNames(master: Host, names: readonly string[]): Promise<boolean> {
  const has = (await apiServerCertificate(master))?.names ?? [];
  return names.every((name) => has.includes(name));
}

async function apiServerCertificate(master: Host) {
  return (await listCertificates(master)).find(({ file }) => file === `${PATHS.pki}/apiserver.crt`);
}

/**
 * The new certificate is whole before the old one goes: the key takes its place first, then the certificate. An API server that starts
 * between the two waits for the second, and one that runs reads neither before they fit.
 */
async function makeCertificate(
  master: Host,
  cluster: ClusterContext,
  clusterConfiguration: string,
  signal?: AbortSignal,
): Promise<void> {
  const { rootfs, version } = cluster;
  const node = nodeOf(await listNodes(entryMaster(cluster), rootfs), master)?.name;
  if (node === undefined) throw new SlipwayError('E_CLUSTER_STATE', `${master.address} is no node of the cluster`);
  const has = (await apiServerCertificate(master))?.names ?? [];
  const { address } = master;
  const config = phaseConfig(clusterConfiguration, { address, node, version, names: has });
  await onHost(
    master,
    rootfs,
    `set -e
umask 077
[ -s ${PATHS.pki}/ca.key ] || { echo "${PATHS.pki}/ca.key is missing: the CA is kept elsewhere, and certificates are made there" >&2; exit 1; }
rm -rf ${WORKSHOP}
mkdir ${WORKSHOP}
trap 'rm -rf ${WORKSHOP}' EXIT
trap 'exit 143' TERM HUP INT
ln -s ${PATHS.pki}/ca.crt ${PATHS.pki}/ca.key ${WORKSHOP}/
cat >${WORKSHOP}/kubeadm.yaml
kubeadm init phase certs apiserver --config=${WORKSHOP}/kubeadm.yaml
chmod 644 ${WORKSHOP}/apiserver.crt
sync ${WORKSHOP}/apiserver.key ${WORKSHOP}/apiserver.crt
mv -f ${WORKSHOP}/apiserver.key ${PATHS.pki}/apiserver.key
mv -f ${WORKSHOP}/apiserver.crt ${PATHS.pki}/apiserver.crt`,
    { stdin: config, signal, timeoutMs: 120_000, title: 'kubeadm init phase certs apiserver' },
  );
}

/** What the certificate is made from. */
export interface NamedMaster {
  readonly address: string;
  readonly node: string;
  readonly version: string;
  /** Those that its certificate has now: none is lost. */
  readonly names: readonly string[];
}

/** What kubeadm is given to make the certificate of one master's API server in our own place. Pure. */
export function phaseConfig(clusterConfiguration: string, { address, node, version, names }: NamedMaster): string {
  const api = `kubeadm.k8s.io/${kubeadmApi(version)}`;
  const found: unknown = parse(clusterConfiguration);
  const cluster = mergeDocuments(isObject(found) ? found : {}, {
    certificatesDir: WORKSHOP,
    apiServer: { certSANs: [...new Set([...certSANsOf(clusterConfiguration), ...names])] },
  });
  const init = {
    apiVersion: api,
    kind: 'InitConfiguration',
    localAPIEndpoint: { advertiseAddress: address, bindPort: API_SERVER_PORT },
    nodeRegistration: { name: node },
  };
  return [init, cluster].map((document) => stringify(document, { lineWidth: 0 })).join('---\n');
}
