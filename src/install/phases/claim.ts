import { claimHost, isClaimed } from '../cluster-hosts/host-owner.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork } from '../work.js';

/** Marks every host as belonging to this cluster, before anything else is put there: what we begin, we can find and take away again. */
export const claimPhase: Phase<InstallWork> = {
  name: 'claim',
  title: 'Mark the hosts as hosts of this cluster',
  steps: ({ hosts, owner, paths }) =>
    hosts.map(({ address, host }) => ({
      id: stepId('claim', address),
      host: address,
      title: 'mark the host',
      why: `it becomes a host of ${owner.cluster}`,
      inputs: inputsDigest(owner),
      proof: 'check',
      check: async () => ({ holds: await isClaimed(host, paths, owner) }),
      run: async () => {
        await claimHost(host, paths, owner);
        return undefined;
      },
    })),
};
