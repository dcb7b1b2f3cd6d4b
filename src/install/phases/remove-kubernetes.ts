import type { Phase } from '../plan/step.js';
import type { ResetWork } from '../reset-work.js';
import { driverStep } from './driver-step.js';

/** Takes Kubernetes off every host. */
export const removeKubernetesPhase: Phase<ResetWork> = {
  name: 'remove-kubernetes',
  title: 'Take Kubernetes off the hosts',
  steps: ({ hosts, driver, paths, cluster }) =>
    hosts.map((one) =>
      driverStep('remove-kubernetes', one, `a host of ${cluster}`, driver.reset(one.host, paths.rootfs)),
    ),
};
