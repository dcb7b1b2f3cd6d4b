import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { applicationDir } from '../../image/applications.js';
import { hexOf } from '../../image/digest.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { launchCommands } from '../files/applications.js';
import { inputsDigest, type Phase, stepId } from '../plan/step.js';
import { keepableEnv } from '../state/kept-spec.js';
import { type InstallWork, programPath } from '../work.js';

const TIMEOUT_MS = 60 * 60_000;
/** In kube-system: of each launch command what was run last. A cluster that was made anew has launched nothing. */
const LAUNCHED = 'slipway-launched';

/**
 * Runs the launch commands on a master, one after the other: those of the image in the rootfs, then those of applications, each in the
 * application's directory and with its variables. That one has been run is kept in the cluster, so that it does not matter on which
 * master, and whether that is still there.
 */
export const launchPhase: Phase<InstallWork> = {
  name: 'launch',
  title: 'Launch what the image brings',
  serial: true,
  steps: ({ entry, driver, image, spec, paths, cluster }) => {
    const { host, address } = entry;
    return launchCommands(spec, image).map(({ command, application, why }, index) => {
      const env = application === undefined ? entry.env : (entry.applicationEnvs.get(application) ?? entry.env);
      const place = application === undefined ? [] : [application];
      const inputs = inputsDigest(command, index, image.rootfs.digest, keepableEnv(cluster.env), ...place);
      const id = stepId(`launch-${index + 1}`);
      const title = [...place, command.split('\n', 1)[0] ?? ''].join(': ');
      return {
        id,
        host: address,
        title,
        why,
        inputs,
        proof: 'check',
        check: async () => ({ holds: (await launched(driver, host, paths.rootfs)).includes(`${id}=${hexOf(inputs)}`) }),
        run: async ({ signal }) => {
          await host.run(`${programPath(paths.rootfs)}exec bash -c ${shellQuote(command)}`, {
            title,
            cwd: application === undefined ? paths.rootfs : `${paths.rootfs}/${applicationDir(application)}`,
            env: { ...env, KUBECONFIG: driver.adminKubeconfig },
            timeoutMs: TIMEOUT_MS,
            signal,
          });
          await markLaunched(driver, host, paths.rootfs, { [id]: hexOf(inputs) });
          return undefined;
        },
      };
    });
  },
};

async function launched(driver: RuntimeDriver, master: Host, rootfs: string): Promise<readonly string[]> {
  const { stdout } = await driver.kubectl(
    master,
    rootfs,
    [
      ...['-n', 'kube-system', 'get', 'configmap', LAUNCHED, '--ignore-not-found'],
      ...['-o', 'go-template={{range $id, $digest := .data}}{{$id}}={{$digest}}{{"\\n"}}{{end}}'],
    ],
    { title: 'looking what has been launched' },
  );
  return stdout.split('\n');
}

async function markLaunched(
  driver: RuntimeDriver,
  master: Host,
  rootfs: string,
  data: Record<string, string>,
): Promise<void> {
  const title = 'noting what has been launched';
  // It may be there already: then the patch says all.
  await driver.kubectl(master, rootfs, ['-n', 'kube-system', 'create', 'configmap', LAUNCHED], {
    title,
    allowFailure: true,
  });
  const patch = JSON.stringify({ data });
  await driver.kubectl(
    master,
    rootfs,
    ['-n', 'kube-system', 'patch', 'configmap', LAUNCHED, '--type=merge', '-p', patch],
    { title },
  );
}
