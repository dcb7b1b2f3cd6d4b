import type { Host } from '../../hosts/host.js';
import type { ClusterContext, RuntimeDriver } from '../../runtime/driver.js';
import { inputsDigest, type Step, stepId } from '../plan/step.js';

/** Lets the hosts that stay find the API servers of all masters. */
export function followSteps(driver: RuntimeDriver, cluster: ClusterContext, hosts: readonly Host[]): readonly Step[] {
  const masters = cluster.masters.map(({ address }) => address).sort();
  return hosts.flatMap((host): Step[] => {
    const step = driver.follow?.(host, cluster);
    if (step === undefined) return [];
    const { title, done, run } = step;
    const planned: Step = {
      id: stepId('follow', host.address),
      host: host.address,
      title,
      why: masters.length === 1 ? 'the API server of the master' : 'masters may come and go',
      inputs: inputsDigest('follow', masters),
      proof: 'check',
      check: async () => ({ holds: await done() }),
      run: async ({ note, signal }) => {
        await run(note, signal);
        return undefined;
      },
    };
    return [planned];
  });
}
