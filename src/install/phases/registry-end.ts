import { shellQuote } from '../../hosts/shell-script.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { type InstallWork, programPath } from '../work.js';

const UNIT = '/etc/systemd/system/slipway-registry.service';
const TIMEOUT_MS = 5 * 60_000;

/** Ends the registry on masters that served it and do no more, when the hosts have another one. */
export const registryEndPhase: Phase<InstallWork> = {
  name: 'registry-end',
  title: 'End registries that are not used any more',
  steps: ({ hosts, begun, paths }) =>
    hosts
      .filter(({ master, servesRegistry }) => begun && master && !servesRegistry)
      .map(({ address, host, env }) => ({
        id: stepId('registry-end', address),
        host: address,
        title: 'no registry on this host',
        why: 'the images are served elsewhere',
        inputs: inputsDigest('registry-end', address),
        proof: 'check',
        check: async () => ({
          holds: !(await host.exists(UNIT)) && !(await host.exists(`${paths.rootfs}/registry`)),
        }),
        run: async ({ signal }) => {
          await host.run(
            `${programPath(paths.rootfs)}cd ${shellQuote(`${paths.rootfs}/scripts`)} || exit 1
if [ -f clean-registry.sh ]; then bash clean-registry.sh || exit 1; fi
rm -rf ${shellQuote(`${paths.rootfs}/registry`)} ${shellQuote(`${paths.rootfs}/certs`)}`,
            { title: 'ending the registry', env, signal, timeoutMs: TIMEOUT_MS },
          );
          return undefined;
        },
      })),
};
