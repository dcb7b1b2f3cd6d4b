import { shellQuote } from '../../hosts/shell-script.js';
import { applicationDir } from '../../image/applications.js';
import { hexOf } from '../../image/digest.js';
import { launchCommands } from '../applications.js';
import { keepableEnv } from '../cluster-state.js';
import { inputsDigest, type Phase, stepId } from '../step.js';
import { type InstallWork, programPath } from '../work.js';

const TIMEOUT_MS = 60 * 60_000;

/**
 * Runs the launch commands on the first master, one after the other: those of the image in the rootfs, then those of applications, each
 * in the application's directory and with its variables. That one has been run is kept there, on the host: a cluster that was made anew
 * has run none.
 */
export const launchPhase: Phase<InstallWork> = {
  name: 'launch',
  title: 'Launch what the image brings',
  serial: true,
  steps: ({ first, driver, image, spec, paths }) => {
    const { host, address, wantedDigest } = first;
    return launchCommands(spec, image).map(({ command, application, why }, index) => {
      const env = application === undefined ? first.env : (first.applicationEnvs.get(application) ?? first.env);
      const place = application === undefined ? [] : [application];
      const inputs = inputsDigest(command, index, wantedDigest, keepableEnv(env), ...place);
      const title = [...place, command.split('\n', 1)[0] ?? ''].join(': ');
      const mark = `${paths.base}/.launched/${hexOf(inputs)}`;
      return {
        id: stepId(`launch-${index + 1}`, address),
        host: address,
        title,
        why,
        inputs,
        proof: 'check',
        check: async () => ({ holds: await host.exists(mark) }),
        run: async ({ signal }) => {
          await host.run(`${programPath(paths.rootfs)}exec bash -c ${shellQuote(command)}`, {
            title,
            cwd: application === undefined ? paths.rootfs : `${paths.rootfs}/${applicationDir(application)}`,
            env: { ...env, KUBECONFIG: driver.adminKubeconfig },
            timeoutMs: TIMEOUT_MS,
            signal,
          });
          await host.writeFile(mark, `${command}\n`, { mode: 0o600 });
          return undefined;
        },
      };
    });
  },
};
