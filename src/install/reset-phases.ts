import {
  postCleanHooksPhase,
  postUninstallHooksPhase,
  preCleanHooksPhase,
  preUninstallHooksPhase,
} from './phases/clean-hooks.js';
import { removeFilesPhase } from './phases/remove-files.js';
import { removeKubernetesPhase } from './phases/remove-kubernetes.js';
import { removeSetupPhase } from './phases/remove-setup.js';
import type { Phase } from './plan/step.js';
import type { ResetWork } from './reset-work.js';

/** What is asked before anything is taken away, and may say no. */
export const ASKING_PHASES: readonly Phase<ResetWork>[] = [preUninstallHooksPhase];

/** What `reset` does on every host that answers. */
export const RESET_PHASES: readonly Phase<ResetWork>[] = [
  preCleanHooksPhase,
  removeKubernetesPhase,
  removeSetupPhase,
  postCleanHooksPhase,
  postUninstallHooksPhase,
  removeFilesPhase,
];
