import { aliasesPhase } from './phases/aliases.js';
import { claimPhase } from './phases/claim.js';
import { distributePhase } from './phases/distribute.js';
import { initPhase } from './phases/init.js';
import { joinMastersPhase } from './phases/join-masters.js';
import { joinWorkersPhase } from './phases/join-workers.js';
import { kubeconfigPhase } from './phases/kubeconfig.js';
import { launchPhase } from './phases/launch.js';
import { marksPhase } from './phases/marks.js';
import { mirrorsPhase } from './phases/mirrors.js';
import { readyPhase } from './phases/ready.js';
import { registryPhase } from './phases/registry.js';
import { setupPhase } from './phases/setup.js';
import type { Phase } from './step.js';
import type { InstallWork } from './work.js';

/** What `run` does once the hosts have passed the preflight. Later operations are other lists of the same phases. */
export const RUN_PHASES: readonly Phase<InstallWork>[] = [
  claimPhase,
  aliasesPhase,
  distributePhase,
  setupPhase,
  registryPhase,
  mirrorsPhase,
  initPhase,
  joinMastersPhase,
  joinWorkersPhase,
  marksPhase,
  kubeconfigPhase,
  launchPhase,
  readyPhase,
];
