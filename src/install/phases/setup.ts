import { readSetup } from '../cluster-hosts/host-setup.js';
import { type Phase, stepId } from '../plan/step.js';
import { isRolling, setupOf } from '../set-up.js';
import type { InstallWork } from '../work.js';

/** Container runtime, kubelet, kernel settings: the image's own scripts, on every host that is no node yet or is as it should be. */
export const setupPhase: Phase<InstallWork> = {
  name: 'setup',
  title: 'Set the hosts up',
  steps: (work) => {
    const { hosts, image, paths, driver } = work;
    const scripts = setupOf(work);
    if (scripts === undefined) return [];
    return hosts
      .filter((one) => !isRolling(work, scripts, one))
      .map((one) => ({
        id: stepId('setup', one.address),
        host: one.address,
        title: scripts.title,
        why: driver.ownContainerRuntime
          ? 'settings of the kernel, and what else the image has for hosts'
          : 'container runtime, kubelet and kernel settings',
        inputs: scripts.inputs(one),
        proof: 'check',
        check: async () => {
          const found = await readSetup(one.host, paths);
          if (found?.inputs !== scripts.inputs(one)) return { holds: false };
          if (driver.ownContainerRuntime) return { holds: true };
          return { holds: await one.host.exists(`/run/${image.containerRuntime}/${image.containerRuntime}.sock`) };
        },
        run: async ({ signal }) => {
          await scripts.run(one, signal);
          await scripts.note(one);
          return undefined;
        },
      }));
  },
};
