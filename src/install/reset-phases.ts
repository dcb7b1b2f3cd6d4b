import { removeFilesPhase } from './phases/remove-files.js';
import { removeKubernetesPhase } from './phases/remove-kubernetes.js';
import { removeSetupPhase } from './phases/remove-setup.js';
import type { Phase } from './plan/step.js';
import type { ResetWork } from './reset-work.js';

/** What `reset` does on every host that answers. */
export const RESET_PHASES: readonly Phase<ResetWork>[] = [removeKubernetesPhase, removeSetupPhase, removeFilesPhase];
