import type { RuntimeDriver } from '../driver.js';
import { mastersBy } from '../kubernetes/masters.js';
import { listNodes, markStep } from './cluster.js';
import { kubectl } from './commands.js';
import { networksOf } from './config.js';
import { followStep } from './follow.js';
import { apiServerReady, findRemains } from './health.js';
import { preloadStep } from './images.js';
import { initStep } from './init.js';
import { joinMasterStep, joinWorkerStep } from './join.js';
import { adminKubeconfig } from './kubeconfig.js';
import { PATHS, UNITS } from './paths.js';
import { removalProblem, removeStep } from './remove.js';
import { resetStep } from './reset.js';
import { clusterUpgradeProblem, upgradeStep } from './upgrade.js';

/** kubelet, kube-proxy's health port, the node-local balancer. */
const NODE_PORTS = [10250, 10256, 7443];
/** API server, etcd for clients and peers, joins of controllers, konnectivity for agents and administration, controller manager, scheduler. */
const MASTER_PORTS = [6443, 2379, 2380, 9443, 8132, 8133, 10257, 10259];

/** Kubernetes as k0s installs it. */
export const k0sDriver: RuntimeDriver = {
  name: 'k0s',
  programs: ['bin/k0s'],
  ports: (role) => (role === 'master' ? [...MASTER_PORTS, ...NODE_PORTS] : NODE_PORTS),
  ownContainerRuntime: true,
  nodeUnit: (role) => UNITS[role === 'master' ? 'controller' : 'worker'],
  networks: networksOf,
  init: initStep,
  joinMaster: joinMasterStep,
  joinWorker: joinWorkerStep,
  mark: markStep,
  follow: followStep,
  remove: removeStep,
  removalProblem,
  upgradeProblem: clusterUpgradeProblem,
  preload: preloadStep,
  upgrade: upgradeStep,
  reset: resetStep,
  kubeconfig: adminKubeconfig,
  ...mastersBy({ complete: async (master) => (await findRemains(master)).complete, ready: apiServerReady }),
  kubectl,
  nodes: (first) => listNodes(first),
  adminKubeconfig: PATHS.admin,
};
