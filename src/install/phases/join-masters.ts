import type { Phase } from '../plan/step.js';
import type { InstallWork } from '../work.js';
import { driverStep } from './driver-step.js';

/** Joins the other masters, one by one: each becomes a member of etcd, which must agree on every one. */
export const joinMastersPhase: Phase<InstallWork> = {
  name: 'join-masters',
  title: 'Join the other masters',
  serial: true,
  steps: ({ hosts, entry, driver, cluster }) =>
    hosts
      .filter((one) => one.master && one.address !== entry.address)
      .map((one) => driverStep('join', one, 'a master', driver.joinMaster(one.host, cluster))),
};
