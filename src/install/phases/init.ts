import type { Phase } from '../plan/step.js';
import type { InstallWork } from '../work.js';
import { driverStep } from './driver-step.js';

/** Begins the cluster on the first master. */
export const initPhase: Phase<InstallWork> = {
  name: 'init',
  title: 'Begin the cluster on the first master',
  steps: ({ entry, driver, cluster }) => [
    driverStep('init', entry, 'the first master', driver.init(entry.host, cluster)),
  ],
};
