import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { registryScript } from '../files/script-names.js';
import { inputsDigest, type Phase, type StepCheck, stepId } from '../plan/step.js';
import { hasRegistryFiles, writeRegistryFiles } from '../registry/cluster-registry.js';
import { registryName } from '../registry/registry-access.js';
import { type InstallWork, programPath } from '../work.js';

const TIMEOUT_MS = 5 * 60_000;

/** Starts the cluster's registry where its images are; where it runs on several hosts one after the other, so that one always answers. */
export const registryPhase: Phase<InstallWork> = {
  name: 'registry',
  title: 'Start the registry of the cluster',
  serial: true,
  steps: ({ hosts, image, spec, paths, registry }) => {
    const call = registryScript(image.rootfs.entries, { rootfs: paths.rootfs, ...spec.registry });
    if (registry === undefined || call === undefined) return [];
    const { certificates } = registry;
    const command = ['bash', call.name, ...call.args.map(shellQuote)].join(' ');
    return hosts
      .filter(({ servesRegistry }) => servesRegistry)
      .map(({ address, host, env, setupDigest }) => ({
        id: stepId('registry', address),
        host: address,
        title: call.name,
        why: `${registryName(registry)} serves the images of the cluster`,
        inputs: inputsDigest(setupDigest, command, certificates?.certificate ?? null, spec.registry.username ?? null),
        proof: 'journal',
        check: async () =>
          (await hasRegistryFiles(host, paths.rootfs, spec.registry, certificates))
            ? registryAnswers(host, registry.port)
            : { holds: false, why: 'its certificate or password is another one' },
        run: async ({ signal }) => {
          await writeRegistryFiles(host, paths.rootfs, spec.registry, certificates);
          await host.run(`${programPath(paths.rootfs)}${command}`, {
            title: call.name,
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

async function registryAnswers(host: Host, port: number): Promise<StepCheck> {
  const { code } = await host.run(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}' 2>/dev/null`, {
    title: 'looking whether the registry answers',
    allowFailure: true,
    timeoutMs: 30_000,
  });
  return code === 0 ? { holds: true } : { holds: false, why: 'it does not answer' };
}
