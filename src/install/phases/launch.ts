import { shellQuote } from '../../hosts/shell-script.js';
import { hexOf } from '../../image/digest.js';
import { keepableEnv } from '../cluster-state.js';
import { inputsDigest, type Phase, stepId } from '../step.js';
import { type InstallWork, programPath } from '../work.js';

const TIMEOUT_MS = 60 * 60_000;

/**
 * Runs the launch commands in the rootfs on the first master, one after the other. That one has been run is kept there, on the host: a
 * cluster that was made anew has run none.
 */
export const launchPhase: Phase<InstallWork> = {
  name: 'launch',
  title: 'Run the launch commands',
  serial: true,
  steps: ({ first, driver, image, spec, paths }) => {
    const { host, address, env, wantedDigest } = first;
    return (spec.cmds ?? image.launchCmds).map((command, index) => {
      const inputs = inputsDigest(command, index, wantedDigest, keepableEnv(env));
      const mark = `${paths.base}/.launched/${hexOf(inputs)}`;
      return {
        id: stepId(`launch-${index + 1}`, address),
        host: address,
        title: command.split('\n', 1)[0] ?? '',
        why: spec.cmds === undefined ? 'a command of the image' : 'a command that was given',
        inputs,
        proof: 'check',
        check: async () => ({ holds: await host.exists(mark) }),
        run: async ({ signal }) => {
          await host.run(`${programPath(paths.rootfs)}exec bash -c ${shellQuote(command)}`, {
            title: command.split('\n', 1)[0] ?? '',
            cwd: paths.rootfs,
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
