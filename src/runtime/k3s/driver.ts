import { SlipwayError } from '../../base/errors.js';
import type { RuntimeDriver } from '../driver.js';
import { withServer } from '../kubernetes/kubeconfig.js';
import { mastersBy } from '../kubernetes/masters.js';
import { addNamesStep } from './alt-names.js';
import { listCertificates } from './certificates.js';
import { listNodes, markStep } from './cluster.js';
import { kubectl } from './commands.js';
import { networksOf, SUPERVISOR_PORT } from './config.js';
import { describeCluster } from './describe.js';
import { followStep } from './follow.js';
import { apiServerReady, findRemains } from './health.js';
import { preloadStep } from './images.js';
import { initStep } from './init.js';
import { installProblem } from './install-problem.js';
import { joinMasterStep, joinWorkerStep } from './join.js';
import { PATHS, UNITS } from './paths.js';
import { registriesYaml } from './registries.js';
import { removalProblem, removeStep } from './remove.js';
import { renewStep, reviveAgentStep } from './renew.js';
import { resetStep } from './reset.js';
import { saveEtcd } from './save-etcd.js';
import { clusterUpgradeProblem, upgradeStep } from './upgrade.js';

/** kubelet, kube-proxy's health port, the balancer of an agent or the API server behind its port, containerd's streams. */
const NODE_PORTS = [10250, 10256, 6444, 10010];
/** API server and joins, etcd for clients and peers, controller manager, scheduler. */
const MASTER_PORTS = [SUPERVISOR_PORT, 2379, 2380, 10257, 10259];

/** Kubernetes as k3s is it. */
export const k3sDriver: RuntimeDriver = {
  name: 'k3s',
  programs: ['bin/k3s'],
  hostPrograms: [],
  ownContainerRuntime: true,
  ownNetwork: true,
  ports: (role) => (role === 'master' ? [...MASTER_PORTS, ...NODE_PORTS] : NODE_PORTS),
  nodeUnit: (role) => (role === 'master' ? UNITS.server : UNITS.agent),
  documentKinds: ['K3sConfig'],
  namesDocument: (names) => ({
    apiVersion: 'slipway/v1',
    kind: 'K3sConfig',
    spec: { server: { 'tls-san': names } },
  }),
  networks: networksOf,
  registrySettings: (source) => ({ path: PATHS.registries, content: registriesYaml(source), mode: 0o600 }),
  installProblem,
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
  saveEtcd,
  adminKubeconfig: PATHS.admin,
  certificates: {
    list: listCertificates,
    addNames: (master, _cluster, names) => addNamesStep(master, names),
    renew: renewStep,
    revive: reviveAgentStep,
  },
  describe: describeCluster,
};
