import type { Platform } from '../../image/platform.js';
import { imageEntries } from '../files/app-files.js';
import { appConfigFiles, applicationFindings, launchCommands } from '../files/applications.js';
import { withConfigs } from '../files/config-files.js';
import { type ApplicationImage, loadApplicationImage } from '../files/install-image.js';
import { hostRootfs, renderTemplates } from '../files/rootfs.js';
import { APP_INSTALL_PHASES } from '../phases/app-install.js';
import { makePlan, type Plan } from '../plan/plan.js';
import type { PreflightReport } from '../plan/preflight.js';
import { inputsDigest } from '../plan/step.js';
import { type AppState, withApp } from '../state/app-state.js';
import { appPaths, hostPaths, type StatePaths } from '../state/cluster-paths.js';
import { type ClusterState, registryServers } from '../state/cluster-state.js';
import { keepableEnv, registerSecretVariables } from '../state/kept-spec.js';
import type { InstallDeps } from '../survey.js';
import { appEnvs } from './app-env.js';
import { type AppHosts, type AppOptions, assertRunning, noMasterProblem, withAppHosts } from './app-hosts.js';
import { appWarnings, conflictProblems, entryProblems, mirrorProblems, registryProblems } from './app-preflight.js';
import { type AppSpec, appName } from './app-spec.js';
import type { AppWork } from './app-work.js';
import { droppedProblems, nextApp } from './next-app.js';

export interface InstallAppOptions extends AppOptions {
  /** Which image of a multi-platform one. */
  readonly platform?: Platform;
}

/** Everything that is known before anything is done. */
export interface AppSurvey {
  readonly image: ApplicationImage;
  /** The application as it is there already. */
  readonly before: AppState | undefined;
  readonly app: AppState;
  /** The cluster as it is worked towards. */
  readonly state: ClusterState;
  readonly hosts: AppHosts;
  readonly report: PreflightReport;
  /** Empty when no master answers: then there is a problem. */
  readonly plan: Plan;
}

/** Reads the image, looks at the hosts of the cluster, and makes the plan; `use` gets it all, problems too. Changes nothing. */
export async function withAppSurvey<T>(
  before: ClusterState,
  spec: AppSpec,
  paths: StatePaths,
  options: InstallAppOptions,
  deps: InstallDeps,
  use: (survey: AppSurvey) => Promise<T>,
): Promise<T> {
  assertRunning(before);
  registerSecretVariables({ env: spec.env, hosts: [], appConfigs: [...spec.appConfigs] });
  const found = await loadApplicationImage(deps.store, spec.image, options.platform);
  const name = appName(spec.name, found.name, before.applications);
  const launched = launchCommands(specOf(spec), found);
  const image = { ...found, rootfs: await withConfigs(found.rootfs, appConfigFiles(spec.appConfigs)) };
  if (image.rootfs.skipped.length > 0)
    deps.reporter.warn(`devices and FIFOs of the image are not sent to hosts: ${image.rootfs.skipped.join(', ')}`);
  return withAppHosts(before, paths, options, deps, async (hosts) => {
    const there = before.applications.find((app) => app.name === name);
    const images = imageEntries(image.rootfs.entries);
    const servers = registryServers(before);
    const app = nextApp(there, {
      name,
      spec,
      image,
      launched,
      servesImages: images.length > 0 && servers.length > 0,
      hosts: [...(hosts.entry === undefined ? [] : [hosts.entry.address]), ...(images.length > 0 ? servers : [])],
    });
    const state = { ...before, applications: withApp(before.applications, app) };
    const work = await makeAppWork({ state, app, spec, image, launched, hosts }, deps);
    const problems = [
      ...hosts.problems,
      ...(work === undefined ? [noMasterProblem(before)] : []),
      ...droppedProblems(there, image),
      ...registryProblems(hosts, app, servers),
      ...entryProblems(hosts, image, there),
      ...(work === undefined ? [] : [...mirrorProblems(work, hosts), ...(await conflictProblems(work))]),
    ];
    const findings = applicationFindings({ ...image, version: before.version }, launched, { installs: false });
    return use({
      image,
      before: there,
      app,
      state,
      hosts,
      plan: work === undefined ? [] : makePlan(APP_INSTALL_PHASES, work),
      report: {
        problems: [...problems, ...findings.problems],
        warnings: [...findings.warnings, ...appWarnings(before, app, images.length > 0, hosts)],
        notes: [],
      },
    });
  });
}

/** Registries that nothing else on the cluster needs; none when what its image needs is not known. */
export function ownUpstreams(
  { upstreams, applications }: Pick<ClusterState, 'upstreams' | 'applications'>,
  app: Pick<AppState, 'name' | 'upstreams'>,
): readonly string[] {
  const others = applications.filter(({ name }) => name !== app.name).flatMap((one) => one.upstreams);
  const needed = new Set([...(upstreams ?? app.upstreams), ...others]);
  return app.upstreams.filter((upstream) => !needed.has(upstream));
}

interface AppFacts {
  readonly state: ClusterState;
  readonly app: AppState;
  readonly spec: AppSpec;
  readonly image: ApplicationImage;
  readonly launched: AppWork['launched'];
  readonly hosts: AppHosts;
}

async function makeAppWork(
  { state, app, spec, image, launched, hosts }: AppFacts,
  { reporter }: Pick<InstallDeps, 'reporter'>,
): Promise<AppWork | undefined> {
  const { entry, driver } = hosts;
  if (entry === undefined) return undefined;
  const paths = hostPaths(state.dataRoot, state.name);
  const places = appPaths(paths, app.name);
  const envs = appEnvs(state, driver, places.files.rootfs, entry.known, image, spec.env, spec.appConfigs);
  const templates = { applications: envs.applications, warn: (warning: string) => reporter.warn(warning) };
  const rendered = await renderTemplates(image.rootfs, envs.env, templates);
  const servers = registryServers(state);
  return {
    cluster: state.name,
    app,
    applications: state.applications,
    paths,
    appPaths: places,
    registry: state.registry,
    upstreams:
      state.upstreams === undefined ? app.upstreams : app.upstreams.filter((one) => !state.upstreams?.includes(one)),
    hosts: hosts.up.map(({ host }) => host),
    registryHosts: hosts.up.filter(({ address }) => servers.includes(address)).map(({ host }) => host),
    reporter,
    image,
    launched,
    master: { driver, host: entry.host, rootfs: paths.rootfs },
    adminKubeconfig: driver.adminKubeconfig,
    envs,
    envDigest: inputsDigest(
      image.applications.map(({ name, env = {} }) => [name, keepableEnv(env).env]),
      app.imageEnv,
      state.env,
      app.env,
      app.appConfigs.map((config) => [config.name, config.env]),
    ),
    files: hostRootfs(image.rootfs, rendered, false),
    images: imageEntries(image.rootfs.entries),
  };
}

/** The specification as a cluster's: what is not given is not there. */
function specOf({ cmds, apps, appConfigs }: AppSpec): Parameters<typeof launchCommands>[0] {
  return {
    ...(cmds === undefined ? {} : { cmds: [...cmds] }),
    ...(apps === undefined ? {} : { apps: [...apps] }),
    appConfigs: [...appConfigs],
  };
}
