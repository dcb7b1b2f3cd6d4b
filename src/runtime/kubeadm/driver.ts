import { SlipwayError } from '../../base/errors.js';
import type { RuntimeDriver } from '../driver.js';
import { withServer } from '../kubernetes/kubeconfig.js';
import { mastersBy } from '../kubernetes/masters.js';
import { addNamesStep } from './alt-names.js';
import { followStep } from './balancer.js';
import { listCertificates } from './certificates.js';
import { ignoredChange, wantedNames } from './changed-documents.js';
import { listNodes, markStep } from './cluster.js';
import { kubectl } from './commands.js';
import { API_SERVER_PORT, networksOf } from './config.js';
import { describeCluster } from './describe.js';
import { NO_DOCUMENTS } from './documents.js';
import { apiServerReady, findRemains } from './health.js';
import { initStep } from './init.js';
import { installProblem, lifeWarnings } from './install-problem.js';
import { joinMasterStep, joinWorkerStep } from './join.js';
import { reviveKubeletStep } from './kubelet-identity.js';
import { PATHS } from './paths.js';
import { preloadStep } from './preload.js';
import { removalProblem, removeStep } from './remove.js';
import { renewStep } from './renew.js';
import { resetStep } from './reset.js';
import { saveEtcd } from './save-etcd.js';
import { unheededFields, unknownFields } from './unknown-fields.js';
import { clusterUpgradeProblem, upgradeStep } from './upgrade.js';

/** kubelet, and kube-proxy's health port. */
const NODE_PORTS = [10250, 10256];
/** API server, etcd for clients and peers, controller manager, scheduler. */
const MASTER_PORTS = [API_SERVER_PORT, 2379, 2380, 10257, 10259];

/** Kubernetes as kubeadm installs it. */
export const kubeadmDriver: RuntimeDriver = {
  name: 'k8s',
  programs: ['bin/kubeadm', 'bin/kubelet', 'bin/kubectl'],
  // Without these kubeadm's own preflight fails, half-way (cmd/kubeadm/app/preflight, InPathCheck).
  hostPrograms: ['conntrack', 'ip', 'iptables', 'mount', 'nsenter'],
  ports: (role) => (role === 'master' ? [...MASTER_PORTS, ...NODE_PORTS] : NODE_PORTS),
  ownContainerRuntime: false,
  ownNetwork: false,
  nodeUnit: () => 'kubelet.service',
  documentKinds: Object.keys(NO_DOCUMENTS),
  namesDocument(names, beside) {
    const known = beside.map(({ apiVersion }) => apiVersion).find((api) => /^kubeadm\./.test(String(api)));
    const apiVersion = known ?? 'kubeadm.k8s.io/v1beta2';
    return { apiVersion, kind: 'ClusterConfiguration', apiServer: { certSANs: names } };
  },
  networks: networksOf,
  installProblem,
  init: initStep,
  joinMaster: joinMasterStep,
  joinWorker: joinWorkerStep,
  mark: markStep,
  follow: followStep,
  followsAhead: true,
  remove: removeStep,
  removalProblem,
  upgradeProblem: clusterUpgradeProblem,
  preload: preloadStep,
  upgrade: upgradeStep,
  reset: resetStep,
  async kubeconfig(first) {
    const text = await first.readFile(PATHS.admin);
    if (text === undefined) {
      throw new SlipwayError('E_CLUSTER_STATE', `${first.address}: ${PATHS.admin} is missing`, {
        hint: 'the cluster is not initialised there',
      });
    }
    return withServer(text.toString('utf8'), first.address, `${PATHS.admin} of ${first.address}`);
  },
  ...mastersBy({ complete: async (master) => (await findRemains(master)).complete, ready: apiServerReady }),
  kubectl,
  nodes: (first, { rootfs }) => listNodes(first, rootfs),
  saveEtcd,
  adminKubeconfig: PATHS.admin,
  certificates: {
    list: listCertificates,
    wantedNames,
    addNames: addNamesStep,
    renew: renewStep,
    revive: reviveKubeletStep,
  },
  ignoredChange,
  unknownFields: ({ version, configDocuments }) => [
    ...unknownFields(configDocuments),
    ...unheededFields(version, configDocuments),
    ...lifeWarnings(configDocuments),
  ],
  describe: describeCluster,
};
