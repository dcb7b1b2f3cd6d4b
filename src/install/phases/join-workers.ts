import type { Phase } from '../plan/step.js';
import type { InstallWork } from '../work.js';
import { driverStep } from './driver-step.js';

/** Joins the workers, several at once. */
export const joinWorkersPhase: Phase<InstallWork> = {
  name: 'join-workers',
  title: 'Join the workers',
  steps: ({ hosts, driver, cluster }) =>
    hosts
      .filter(({ master }) => !master)
      .map((one) => driverStep('join', one, 'a worker', driver.joinWorker(one.host, cluster))),
};
