import type { Host } from '../../hosts/host.js';
import type { Phase } from '../plan/step.js';
import type { InstallWork } from '../work.js';
import { driverStep } from './driver-step.js';
import { followSteps } from './follow.js';

/** Begins the cluster on the first master. Meanwhile the workers are led to where it will be: they have nothing else to do. */
export const initPhase: Phase<InstallWork> = {
  name: 'init',
  title: 'Begin the cluster on the first master',
  steps: (work) => {
    const { entry, driver, cluster } = work;
    return [
      driverStep('init', entry, 'the first master', driver.init(entry.host, cluster)),
      ...followSteps(driver, cluster, earlyFollowers(work)),
    ];
  },
};

/** Hosts that are led to the API servers before there are any. In a cluster that has been begun they follow when the masters have changed. */
export function earlyFollowers({
  hosts,
  begun,
  driver,
}: Pick<InstallWork, 'hosts' | 'begun' | 'driver'>): readonly Host[] {
  return begun || driver.followsAhead !== true ? [] : hosts.filter(({ master }) => !master).map(({ host }) => host);
}
