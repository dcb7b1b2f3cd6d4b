import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { shellQuote } from '../../hosts/shell-script.js';
import { applicationDir } from '../../image/applications.js';
import { appCommandOf } from '../apps/app-commands.js';
import type { AppRemoval } from '../apps/app-removal.js';
import { compareImages } from '../files/app-files.js';
import { distribute } from '../files/distribute.js';
import { inputsDigest, type Phase, type Step, stepId } from '../plan/step.js';
import { lacksMirrors, removeMirrors } from '../registry/more-mirrors.js';
import { appFilesStep } from './app-install.js';
import { commandStep } from './command-step.js';
import { launchedNotes, noteLaunched } from './launched-notes.js';

const TIMEOUT_MS = 10 * 60_000;

/** A master that never had the files, or has them no more, gets them again: the commands are run among them. */
const filesPhase: Phase<AppRemoval> = {
  name: 'app-files',
  title: 'Send the files',
  steps: ({ master, files, ...work }) =>
    master === undefined || files === undefined ? [] : [appFilesStep(work, master, files)],
};

const commandsPhase: Phase<AppRemoval> = {
  name: 'app-delete',
  title: 'Take away what was launched',
  serial: true,
  steps: (work) => {
    const { app, commands, master, adminKubeconfig, appPaths } = work;
    if (master === undefined) return [];
    const { rootfs } = appPaths.files;
    return commands.map(({ id, command, application, env, inputs }) =>
      forgiving(
        work,
        commandStep(master, {
          id,
          command,
          application,
          why: application === undefined ? 'a command that was given' : `takes the application ${application} away`,
          inputs,
          cwd: application === undefined ? rootfs : `${rootfs}/${applicationDir(application)}`,
          programs: [master.rootfs, rootfs],
          env: { ...env, KUBECONFIG: adminKubeconfig },
          // From now on nothing of it counts as launched.
          outdates: (other) => appCommandOf(app.name, other)?.kind === 'launch',
        }),
      ),
    );
  },
};

const imagesPhase: Phase<AppRemoval> = {
  name: 'app-remove-images',
  title: 'Remove the container images from the registry',
  steps: ({ app, applications, paths, appPaths, registryHosts }) => {
    const others = applications.filter(({ name }) => name !== app.name);
    return registryHosts.map((host) =>
      removalStep('app-remove-images', app.name, host, {
        title: `remove the container images of ${app.name}`,
        why: 'those that nobody else needs',
        gone: async () =>
          !(await host.exists(appPaths.images.toc)) && !(await host.exists(`${appPaths.images.toc}.next`)),
        remove: async (signal) => {
          const found = await compareImages(host, paths, { name: app.name, others }, [], signal);
          await distribute(host, appPaths.images, [], found, { signal });
          await host.run(`rm -f ${shellQuote(appPaths.images.toc)}`, { title: 'removing the list of images' });
        },
      }),
    );
  },
};

const mirrorsPhase: Phase<AppRemoval> = {
  name: 'app-remove-mirrors',
  title: 'Remove mirrors of registries',
  steps: ({ app, hosts, upstreams }) =>
    upstreams.length === 0
      ? []
      : hosts.map((host) =>
          removalStep('app-remove-mirrors', app.name, host, {
            title: `mirror ${upstreams.join(', ')} no more`,
            why: 'nothing else comes from there',
            gone: () => lacksMirrors(host, upstreams),
            remove: () => removeMirrors(host, upstreams),
          }),
        ),
};

const removeFilesPhase: Phase<AppRemoval> = {
  name: 'app-remove-files',
  title: 'Remove the files',
  steps: ({ app, holders, paths, appPaths }) =>
    holders.map((host) =>
      removalStep('app-remove-files', app.name, host, {
        title: `remove ${appPaths.base}`,
        why: `files of ${app.image.name}`,
        gone: async () => !(await host.exists(appPaths.base)),
        remove: async (signal) => {
          await host.run(
            `rm -rf ${shellQuote(appPaths.base)} || exit 1\nrmdir ${shellQuote(paths.apps)} 2>/dev/null\ntrue`,
            { title: `removing the files of ${app.name}`, timeoutMs: TIMEOUT_MS, signal },
          );
        },
      }),
    ),
};

/** Last of all: as long as they are there, commands that were run are not run again. */
const forgetPhase: Phase<AppRemoval> = {
  name: 'app-forget',
  title: 'Forget what was launched',
  steps: ({ app, master }) => {
    if (master === undefined) return [];
    const ours = async (): Promise<string[]> =>
      [...(await launchedNotes(master)).keys()].filter((id) => appCommandOf(app.name, id) !== undefined);
    return [
      removalStep('app-forget', app.name, master.host, {
        title: 'remove the notes in the cluster',
        why: 'it can be installed again',
        gone: async () => (await ours()).length === 0,
        remove: async () => noteLaunched(master, Object.fromEntries((await ours()).map((id) => [id, null]))),
      }),
    ];
  },
};

/** What `delete-app` does. */
export const APP_DELETE_PHASES: readonly Phase<AppRemoval>[] = [
  filesPhase,
  commandsPhase,
  imagesPhase,
  mirrorsPhase,
  removeFilesPhase,
  forgetPhase,
];

function removalStep(
  name: string,
  app: string,
  host: Host,
  work: {
    readonly title: string;
    readonly why: string;
    gone(): Promise<boolean>;
    remove(signal: AbortSignal): Promise<void>;
  },
): Step {
  const id = stepId(name.replace('app-', `app-${app}-`), host.address);
  return {
    id,
    host: host.address,
    title: work.title,
    why: work.why,
    inputs: inputsDigest(id),
    proof: 'check',
    check: async () => ({ holds: await work.gone() }),
    run: async ({ signal }) => {
      await work.remove(signal);
      return undefined;
    },
  };
}

/** With --force a command that fails is told, and the rest goes on. */
function forgiving({ force, app, failed, reporter }: AppRemoval, step: Step): Step {
  return {
    ...step,
    run: async (run) => {
      try {
        return await step.run(run);
      } catch (error) {
        if (run.signal.aborted || isSlipwayError(error, 'E_HOST_UNREACHABLE')) throw error;
        if (!force) throw withWayOut(error, app);
        reporter.warn(`${step.title}: ${messageOf(error)}`);
        failed.push(step.title);
        return 'failed; going on';
      }
    },
  };
}

function withWayOut(error: unknown, { name, envNotKept }: AppRemoval['app']): unknown {
  if (!isSlipwayError(error)) return error;
  const secrets = envNotKept.length === 0 ? '' : `it may need ${envNotKept.map((one) => `-e ${one}=…`).join(' ')}; `;
  return new SlipwayError(error.code, error.message, {
    hint: `${secrets}give other commands with --cmd or -f; "slipway delete-app ${name} --force" removes the rest, and leaves in the cluster what this should have taken away`,
    cause: error,
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}
