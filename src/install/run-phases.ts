import { certificateName } from './certificates/alt-names.js';
import { aliasesPhase } from './phases/aliases.js';
import { appImagesPhase } from './phases/app-images.js';
import { altNamesPhase } from './phases/certificates.js';
import { claimPhase } from './phases/claim.js';
import { postCleanHooksPhase, preCleanHooksPhase } from './phases/clean-hooks.js';
import { distributePhase } from './phases/distribute.js';
import { followSteps } from './phases/follow.js';
import { followRegistrySteps } from './phases/follow-registry.js';
import {
  afterHooksPhase,
  afterHostHooksPhase,
  beforeHooksPhase,
  beforeHostHooksPhase,
  changeHooksPhase,
  lastHooksPhase,
  originallyHooksPhase,
  preGuestHooksPhase,
  upgradeHostHooksPhase,
} from './phases/hooks.js';
import { hostnamesPhase } from './phases/hostnames.js';
import { earlyFollowers, initPhase } from './phases/init.js';
import { joinMastersPhase } from './phases/join-masters.js';
import { joinWorkersPhase } from './phases/join-workers.js';
import { kubeconfigPhase } from './phases/kubeconfig.js';
import { launchPhase } from './phases/launch.js';
import { marksPhase } from './phases/marks.js';
import { mirrorsPhase } from './phases/mirrors.js';
import { readyPhase } from './phases/ready.js';
import { registryPhase } from './phases/registry.js';
import { registryContentPhase } from './phases/registry-content.js';
import { registryEndPhase } from './phases/registry-end.js';
import { registryTrustPhase } from './phases/registry-trust.js';
import { registryUploadPhase } from './phases/registry-upload.js';
import { removeFilesPhase } from './phases/remove-files.js';
import { removeKubernetesPhase } from './phases/remove-kubernetes.js';
import { removeDeadPhase, removeNodesPhase } from './phases/remove-nodes.js';
import { removeSetupPhase } from './phases/remove-setup.js';
import { setupPhase } from './phases/setup.js';
import { preloadPhase, upgradeMastersPhase, upgradeWorkersPhase } from './phases/upgrade.js';
import { type Phase, phaseOf } from './plan/step.js';
import type { Removal } from './removal.js';
import type { InstallWork } from './work.js';

/** Lets the hosts of a cluster follow its masters. */
const followPhase: Phase<InstallWork> = {
  name: 'follow',
  title: 'Let the hosts find the API servers of all masters',
  steps: (work) => {
    const early = earlyFollowers(work);
    const hosts = work.hosts.map(({ host }) => host).filter((host) => !early.includes(host));
    return followSteps(work.driver, work.cluster, hosts);
  },
};

/** A cluster that begins has them from the first; whoever joins one finds them there. */
const wantedNamesPhase = phaseOf(altNamesPhase, ({ begun, driver, cluster, hosts }: InstallWork) => {
  const { certificates } = driver;
  if (!begun || certificates?.wantedNames === undefined) return undefined;
  return {
    work: certificates,
    cluster,
    masters: hosts.filter(({ master }) => master).map(({ host }) => host),
    workers: [],
    names: [...new Set(certificates.wantedNames(cluster).map(certificateName))],
    renewal: undefined,
  };
});

/** What is done with hosts that leave, when the others are as they should be. */
const REMOVAL_PHASES: readonly Phase<Removal>[] = [
  preCleanHooksPhase,
  removeNodesPhase,
  removeKubernetesPhase,
  removeSetupPhase,
  postCleanHooksPhase,
  removeFilesPhase,
];

/** What is done once the hosts have passed the preflight, whether a cluster begins, grows, or changes. */
export const RUN_PHASES: readonly Phase<InstallWork>[] = [
  claimPhase,
  aliasesPhase,
  originallyHooksPhase,
  registryUploadPhase,
  distributePhase,
  appImagesPhase,
  hostnamesPhase,
  upgradeHostHooksPhase,
  beforeHooksPhase,
  beforeHostHooksPhase,
  setupPhase,
  registryContentPhase,
  registryTrustPhase,
  registryPhase,
  mirrorsPhase,
  registryEndPhase,
  changeHooksPhase,
  onRemoval(removeDeadPhase),
  initPhase,
  preloadPhase,
  upgradeMastersPhase,
  joinMastersPhase,
  joinWorkersPhase,
  followPhase,
  upgradeWorkersPhase,
  wantedNamesPhase,
  afterHostHooksPhase,
  afterHooksPhase,
  marksPhase,
  kubeconfigPhase,
  preGuestHooksPhase,
  launchPhase,
  readyPhase,
  lastHooksPhase,
  ...REMOVAL_PHASES.map(onRemoval),
];

/** What `delete` does: hosts leave, the others follow the masters that stay. */
export const DELETE_PHASES: readonly Phase<Removal>[] = [
  {
    name: 'follow',
    title: 'Let the hosts that stay follow the masters that stay',
    steps: ({ driver, context, staying }) => followSteps(driver, context, staying),
  },
  {
    name: 'follow-registry',
    title: 'Let the hosts that stay find the registries that stay',
    steps: ({ registryWay, staying }) => followRegistrySteps(registryWay, staying),
  },
  removeDeadPhase,
  ...REMOVAL_PHASES,
];

function onRemoval(phase: Phase<Removal>): Phase<InstallWork> {
  return phaseOf(phase, ({ removal }: InstallWork) => removal);
}
