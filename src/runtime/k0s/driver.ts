import type { RuntimeDriver } from '../driver.js';
import { mastersBy } from '../kubernetes/masters.js';
import { addNamesStep, wantedNames } from './alt-names.js';
import { listCertificates } from './certificates.js';
import { listNodes, markStep } from './cluster.js';
import { kubectl } from './commands.js';
import { networksOf } from './config.js';
import { describeCluster } from './describe.js';
import { apiServerReady, findRemains } from './health.js';
import { preloadStep } from './images.js';
import { initStep } from './init.js';
import { installProblem } from './install-problem.js';
import { joinMasterStep, joinWorkerStep } from './join.js';
import { adminKubeconfig } from './kubeconfig.js';
import { reviveKubeletStep } from './kubelet-identity.js';
import { PATHS, UNITS } from './paths.js';
import { removalProblem, removeStep } from './remove.js';
import { renewStep } from './renew.js';
import { resetStep } from './reset.js';
import { saveEtcd } from './save-etcd.js';
import { clusterUpgradeProblem, upgradeStep } from './upgrade.js';

/** kubelet, kube-proxy's health port, the node-local balancer. */
const NODE_PORTS = [10250, 10256, 7443];
/** API server, etcd for clients and peers, joins of controllers, konnectivity for agents and administration, controller manager, scheduler. */
const MASTER_PORTS = [6443, 2379, 2380, 9443, 8132, 8133, 10257, 10259];

/** Kubernetes as k0s installs it. */
export const k0sDriver: RuntimeDriver = {
  name: 'k0s',
  programs: ['bin/k0s'],
  hostPrograms: [],
  ports: (role) => (role === 'master' ? [...MASTER_PORTS, ...NODE_PORTS] : NODE_PORTS),
  ownContainerRuntime: true,
  ownNetwork: true,
  nodeUnit: (role) => UNITS[role === 'master' ? 'controller' : 'worker'],
  documentKinds: ['ClusterConfig'],
  namesDocument: (names) => ({
    apiVersion: 'k0s.k0sproject.io/v1beta1',
    kind: 'ClusterConfig',
    spec: { api: { sans: names } },
  }),
  networks: networksOf,
  installProblem,
  init: initStep,
  joinMaster: joinMasterStep,
  joinWorker: joinWorkerStep,
  mark: markStep,
  remove: removeStep,
  removalProblem,
  upgradeProblem: clusterUpgradeProblem,
  preload: preloadStep,
  stopped: async (master) => (await findRemains(master)).active.length === 0,
  upgrade: upgradeStep,
  reset: resetStep,
  kubeconfig: adminKubeconfig,
  ...mastersBy({ complete: async (master) => (await findRemains(master)).complete, ready: apiServerReady }),
  kubectl,
  nodes: (first) => listNodes(first),
  saveEtcd,
  etcdFileType: '.tar.gz',
  adminKubeconfig: PATHS.admin,
  certificates: {
    list: listCertificates,
    wantedNames,
    addNames: (master, _cluster, names) => addNamesStep(master, names),
    renew: renewStep,
    revive: reviveKubeletStep,
  },
  describe: describeCluster,
};
