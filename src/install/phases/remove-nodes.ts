import type { Phase, Step } from '../plan/step.js';
import type { LeavingHost, Removal } from '../removal.js';
import { driverStep } from './driver-step.js';

/**
 * Takes hosts that do not answer out of the cluster, before anything joins: what replaces a dead member of etcd comes when that is out.
 */
export const removeDeadPhase: Phase<Removal> = {
  name: 'remove-dead',
  title: 'Take hosts that do not answer out of the cluster',
  serial: true,
  steps: (removal) => (removal.up ? removeSteps(removal, (one) => one.traces === undefined) : []),
};

/** Takes the others out, when those that replace them are there. */
export const removeNodesPhase: Phase<Removal> = {
  name: 'remove',
  title: 'Take hosts out of the cluster',
  serial: true,
  steps: (removal) => removeSteps(removal, (one) => one.traces !== undefined || !removal.up),
};

/** One by one: pods must find room, and etcd must agree on every master. */
function removeSteps(
  { leaving, driver, context, options, hosts }: Removal,
  which: (one: LeavingHost) => boolean,
): readonly Step[] {
  return leaving.filter(which).map((one) => {
    const ours = hosts.some(({ address }) => address === one.address);
    return driverStep('remove', one, 'not wanted any more', driver.remove(one.host, context, { ...options, ours }));
  });
}
