import { marksOf } from '../hooks/plugin-marks.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import type { InstallWork } from '../work.js';

/** Gives the nodes their labels and taints. */
export const marksPhase: Phase<InstallWork> = {
  name: 'marks',
  title: 'Label and taint the nodes',
  steps: ({ hosts, entry, driver, cluster, begun, plugins }) => {
    const marks = new Map(hosts.map(({ address, spec }) => [address, marksOf(spec, plugins)]));
    const wanted = [...marks.values()].some(({ labels, taints }) => Object.keys(labels).length + taints.length > 0);
    // On a cluster that was begun, labels of an earlier time may have to go.
    if (!wanted && !begun) return [];
    const { title, done, run } = driver.mark(entry.host, cluster, marks);
    return [
      {
        id: stepId('marks'),
        host: undefined,
        title,
        why: 'labels and taints of the hosts, and of plugins',
        inputs: inputsDigest([...marks]),
        proof: 'check',
        check: async () => ({ holds: await done() }),
        run: async ({ note, signal }) => {
          await run(note, signal);
          return undefined;
        },
      },
    ];
  },
};
