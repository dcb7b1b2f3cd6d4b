import { SlipwayError } from '../../base/errors.js';
import { applicationDir } from '../../image/applications.js';
import { appCommandId, appCommandOf } from '../apps/app-commands.js';
import type { AppPlaces, AppWork } from '../apps/app-work.js';
import { compareHost } from '../files/distribute.js';
import { entriesDigest, type WantedEntry } from '../files/rootfs.js';
import { inputsDigest, type Phase, type Step, stepId } from '../plan/step.js';
import { addMirrors, hasMirrors } from '../registry/more-mirrors.js';
import { appImageSteps } from './app-images.js';
import { commandStep } from './command-step.js';
import type { AskedMaster } from './launched-notes.js';
import { sendStep } from './send-step.js';

const imagesPhase: Phase<AppWork> = {
  name: 'app-images',
  title: 'Give the registry the container images',
  serial: true,
  steps: ({ app, images, registryHosts, ...work }) =>
    app.servesImages ? appImageSteps([{ name: app.name, entries: images }], registryHosts, work) : [],
};

const mirrorsPhase: Phase<AppWork> = {
  name: 'app-mirrors',
  title: 'Let the hosts pull from the registry',
  steps: ({ app, hosts, registry, upstreams }) => {
    if (!app.servesImages || upstreams.length === 0) return [];
    return hosts.map((host) => ({
      id: stepId(`app-${app.name}-mirrors`, host.address),
      host: host.address,
      title: `mirror ${upstreams.join(', ')}`,
      why: 'pods find their images without internet',
      inputs: inputsDigest(registry, upstreams),
      proof: 'check',
      check: async () => ({ holds: await hasMirrors(host, registry, upstreams) }),
      run: async () => {
        if (await addMirrors(host, registry, upstreams)) return undefined;
        throw new SlipwayError(
          'E_CLUSTER_STATE',
          `host ${host.address} pulls from no registry of the cluster: its settings are not there, or not ours any more`,
          { hint: '"slipway apply" gives it the settings, then run the same command again' },
        );
      },
    }));
  },
};

/** Sends the files of an application image to the master that its commands are run on. */
export function appFilesStep(
  { app, appPaths, reporter }: Pick<AppPlaces, 'app' | 'appPaths' | 'reporter'>,
  { host }: Pick<AskedMaster, 'host'>,
  files: readonly WantedEntry[],
): Step {
  return sendStep({
    id: stepId(`app-${app.name}-files`, host.address),
    host,
    title: `send the files of ${app.name}`,
    why: 'its commands are run there',
    inputs: entriesDigest(files),
    paths: appPaths.files,
    reporter,
    wanted: () => files,
    compare: async (wanted, signal) => {
      const found = await compareHost(host, appPaths.files, wanted, signal);
      // Of an image without files the directory is needed all the same.
      return { ...found, listed: found.listed && found.listing.has('') };
    },
  });
}

const filesPhase: Phase<AppWork> = {
  name: 'app-files',
  title: 'Send the files',
  steps: ({ master, files, ...work }) => [appFilesStep(work, master, files)],
};

const launchPhase: Phase<AppWork> = {
  name: 'app-launch',
  title: 'Launch what the image brings',
  serial: true,
  steps: ({ app, launched, master, adminKubeconfig, image, envs, envDigest, appPaths }) => {
    const { rootfs } = appPaths.files;
    return launched.map(({ command, application, why }, index) => {
      const env = application === undefined ? envs.env : (envs.applications.get(application) ?? envs.env);
      return commandStep(master, {
        id: appCommandId(app.name, 'launch', index + 1),
        command,
        application,
        why,
        inputs: inputsDigest(app.id, command, application ?? null, image.rootfs.digest, envDigest),
        cwd: application === undefined ? rootfs : `${rootfs}/${applicationDir(application)}`,
        programs: [master.rootfs, rootfs],
        env: { ...env, KUBECONFIG: adminKubeconfig },
        outdates: (id) => {
          const other = appCommandOf(app.name, id);
          return other !== undefined && (other.kind === 'delete' || other.number > launched.length);
        },
      });
    });
  },
};

/** What `run-app` does, on a cluster that is up. */
export const APP_INSTALL_PHASES: readonly Phase<AppWork>[] = [imagesPhase, mirrorsPhase, filesPhase, launchPhase];
