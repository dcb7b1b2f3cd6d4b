import { randomUUID } from 'node:crypto';
import { deleteCommands } from '../../image/applications.js';
import type { LaunchCommand } from '../files/applications.js';
import type { ApplicationImage } from '../files/install-image.js';
import type { PreflightProblem } from '../plan/preflight.js';
import type { AppState, LaunchedState } from '../state/app-state.js';
import { keepableEnv, keptAppConfigs } from '../state/kept-spec.js';
import type { AppSpec } from './app-spec.js';

/** What an installation works towards. */
export interface WantedApp {
  readonly name: string;
  readonly spec: Pick<AppSpec, 'env' | 'appConfigs'>;
  readonly image: Pick<ApplicationImage, 'name' | 'digest' | 'env' | 'applications' | 'upstreams'>;
  readonly launched: readonly LaunchCommand[];
  readonly servesImages: boolean;
  /** Addresses of hosts that get something of it. */
  readonly hosts: readonly string[];
}

/**
 * The state that an installation works towards, from the one before. What was launched earlier, and is in the image still, stays: giving
 * other applications adds to those that are there.
 */
export function nextApp(before: AppState | undefined, wanted: WantedApp): AppState {
  const { name, spec, image, servesImages } = wanted;
  const now = new Date().toISOString();
  const { env, envNotKept } = keepableEnv(spec.env);
  const { kept, notKept } = keptAppConfigs(spec.appConfigs);
  const fresh = before === undefined || before.phase === 'deleting';
  const launched = launchedNow(wanted, kept);
  const earlier = (fresh ? [] : before.launched).filter(
    ({ application }) =>
      !launched.some((one) => one.application === application) &&
      (application === undefined || image.applications.some((app) => app.name === application)),
  );
  return {
    id: fresh ? randomUUID() : before.id,
    name,
    image: { name: image.name, digest: image.digest },
    phase: 'installing',
    launched: [...earlier, ...launched],
    imageEnv: keepableEnv(image.env).env,
    env,
    envNotKept,
    notKept,
    appConfigs: kept,
    upstreams: [...image.upstreams],
    servesImages,
    hosts: [...new Set([...(before?.hosts ?? []), ...wanted.hosts])],
    since: fresh ? now : before.since,
    updated: now,
  };
}

/** An application that runs and whose files would go cannot be deleted by anybody afterwards. */
export function droppedProblems(
  before: AppState | undefined,
  image: Pick<ApplicationImage, 'name' | 'applications'>,
): readonly PreflightProblem[] {
  if (before === undefined || before.phase === 'deleting') return [];
  const dropped = before.launched.flatMap(({ application }) =>
    application === undefined || image.applications.some(({ name }) => name === application) ? [] : application,
  );
  if (dropped.length === 0) return [];
  return [
    {
      host: undefined,
      problem: `${before.image.name} has started ${dropped.join(', ')}, which ${image.name} does not have`,
      hint: `"slipway delete-app ${before.name}" takes all of it away; then run the same command again`,
    },
  ];
}

function launchedNow({ launched, image }: WantedApp, configs: AppState['appConfigs']): readonly LaunchedState[] {
  const names = [...new Set(launched.map(({ application }) => application))];
  return names.map((application) => {
    if (application === undefined) return {};
    const config = configs.find(({ name }) => name === application);
    const app = image.applications.find(({ name }) => name === application);
    // Other commands than its own have started other things.
    const own = config?.launch === undefined && app !== undefined ? deleteCommands(app) : undefined;
    const commands = config?.delete ?? own;
    const { env } = keepableEnv(app?.env ?? {});
    return { application, env, ...(commands === undefined ? {} : { delete: [...commands] }) };
  });
}
