import { shellQuote } from '../../hosts/shell-script.js';
import { keepableEnv } from '../kept-spec.js';
import { setupScripts } from '../script-names.js';
import { inputsDigest, type Phase, stepId } from '../step.js';
import { type InstallWork, programPath } from '../work.js';

const TIMEOUT_MS = 20 * 60_000;

/** Container runtime, kubelet, kernel settings: the image's own scripts, on every host. */
export const setupPhase: Phase<InstallWork> = {
  name: 'setup',
  title: 'Set the hosts up',
  steps: ({ hosts, image, spec, paths }) => {
    const { domain, port } = spec.registry;
    const calls = setupScripts(image.rootfs.entries, { containerRuntime: image.containerRuntime, domain, port });
    const script = calls
      .map(({ name, args }) => ['bash', name, ...args.map(shellQuote)].join(' '))
      .map((command) => `${command} || exit $?`)
      .join('\n');
    if (calls.length === 0) return [];
    return hosts.map(({ address, host, env, setupDigest }) => ({
      id: stepId('setup', address),
      host: address,
      title: calls.map(({ name }) => name).join(', '),
      why: 'container runtime, kubelet and kernel settings',
      inputs: inputsDigest(setupDigest, script, keepableEnv(env)),
      proof: 'journal',
      check: async () => ({
        holds: await host.exists(`/run/${image.containerRuntime}/${image.containerRuntime}.sock`),
      }),
      run: async ({ signal }) => {
        await host.run(programPath(paths.rootfs) + script, {
          title: calls.map(({ name }) => name).join(', '),
          cwd: `${paths.rootfs}/scripts`,
          env,
          timeoutMs: TIMEOUT_MS,
          signal,
        });
        return undefined;
      },
    }));
  },
};
