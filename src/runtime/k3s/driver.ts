import { SlipwayError } from '../../base/errors.js';
import type { RuntimeDriver } from '../driver.js';
import { withServer } from '../kubernetes/kubeconfig.js';
import { mastersBy } from '../kubernetes/masters.js';
import { listNodes, markStep } from './cluster.js';
import { kubectl } from './commands.js';
import { networksOf, SUPERVISOR_PORT } from './config.js';
import { followStep } from './follow.js';
import { apiServerReady, findRemains } from './health.js';
import { preloadStep } from './images.js';
import { initStep } from './init.js';
import { joinMasterStep, joinWorkerStep } from './join.js';
import { PATHS, UNITS } from './paths.js';
import { registriesYaml } from './registries.js';
import { removalProblem, removeStep } from './remove.js';
import { resetStep } from './reset.js';
import { clusterUpgradeProblem, upgradeStep } from './upgrade.js';

/** kubelet, kube-proxy's health port, the balancer of an agent or the API server behind its port, containerd's streams. */
const NODE_PORTS = [10250, 10256, 6444, 10010];
/** API server and joins, etcd for clients and peers, controller manager, scheduler. */
const MASTER_PORTS = [SUPERVISOR_PORT, 2379, 2380, 10257, 10259];

/** Kubernetes as k3s is it. */
export const k3sDriver: RuntimeDriver = {
  name: 'k3s',
  programs: ['bin/k3s'],
  ownContainerRuntime: true,
  ports: (role) => (role === 'master' ? [...MASTER_PORTS, ...NODE_PORTS] : NODE_PORTS),
  nodeUnit: (role) => (role === 'master' ? UNITS.server : UNITS.agent),
  networks: networksOf,
  registrySettings: (source) => ({ path: PATHS.registries, content: registriesYaml(source), mode: 0o600 }),
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
  async kubeconfig(first) {
    const text = await first.readFile(PATHS.admin);
    if (text === undefined) {
      throw new SlipwayError('E_CLUSTER_STATE', `${first.address}: ${PATHS.admin} is missing`, {
        hint: 'no k3s server has come up there',
      });
    }
    return withServer(text.toString('utf8'), first.address, `${PATHS.admin} of ${first.address}`);
  },
  ...mastersBy({ complete: async (master) => (await findRemains(master)).complete, ready: apiServerReady }),
  kubectl,
  nodes: (first) => listNodes(first),
  adminKubeconfig: PATHS.admin,
};
