import { applicationDir } from '../../image/applications.js';
import { launchCommands } from '../files/applications.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { keepableEnv } from '../state/kept-spec.js';
import type { InstallWork } from '../work.js';
import { commandStep } from './command-step.js';

/**
 * Runs the launch commands on a master, one after the other: those of the image in the rootfs, then those of applications, each in the
 * application's directory and with its variables.
 */
export const launchPhase: Phase<InstallWork> = {
  name: 'launch',
  title: 'Launch what the image brings',
  serial: true,
  steps: ({ entry, driver, image, spec, paths, cluster }) => {
    const { host } = entry;
    const { rootfs } = paths;
    return launchCommands(spec, image).map(({ command, application, why }, index) => {
      const env = application === undefined ? entry.env : (entry.applicationEnvs.get(application) ?? entry.env);
      const own = spec.appConfigs?.find(({ name }) => name === application)?.env;
      const place = [
        ...(application === undefined ? [] : [application]),
        ...(own === undefined ? [] : [keepableEnv(own)]),
      ];
      return commandStep(
        { driver, host, rootfs },
        {
          id: stepId(`launch-${index + 1}`),
          command,
          application,
          why,
          inputs: inputsDigest(command, index, image.rootfs.digest, keepableEnv(cluster.env), ...place),
          cwd: application === undefined ? rootfs : `${rootfs}/${applicationDir(application)}`,
          programs: [rootfs],
          env: { ...env, KUBECONFIG: driver.adminKubeconfig },
        },
      );
    });
  },
};
