import { isSlipwayError } from '../../base/errors.js';
import type { Application, ContainerImage } from '../../image/cluster-image.js';
import { canonicalName, parseReference } from '../../image/reference.js';
import { DEFAULT_SHELL, type StageState } from '../stages/stage.js';
import type { Conflict } from './conflict.js';

/** The configuration of one of the images. */
export interface StateSide {
  readonly name: string;
  readonly state: StageState;
  /** Built from the same base as an earlier one: commands that both begin with come from it. */
  readonly sharesBase: boolean;
}

export interface MergedSettings {
  readonly settings: Pick<
    StageState,
    | 'env'
    | 'labels'
    | 'workdir'
    | 'user'
    | 'shell'
    | 'author'
    | 'entrypoint'
    | 'cmd'
    | 'launchCmds'
    | 'appNames'
    | 'applications'
    | 'containerImages'
  >;
  readonly conflicts: readonly Conflict[];
}

/**
 * Everything of the images but their files and Metadata: launch commands one image after the other, applications and container images united,
 * variables united (other values are a conflict), labels and what Docker calls config from the last that has them.
 */
export function mergeStates(sides: readonly StateSide[]): MergedSettings {
  const conflicts: Conflict[] = [];
  const last = <T>(pick: (state: StageState) => T | undefined): T | undefined =>
    sides.reduce<T | undefined>((found, { state }) => pick(state) ?? found, undefined);
  return {
    settings: {
      env: mergeEnv(sides, conflicts),
      labels: Object.assign({}, ...sides.map(({ state }) => state.labels)),
      workdir: last(({ workdir }) => (workdir === '/' ? undefined : workdir)) ?? '/',
      user: last(({ user }) => (user === '' ? undefined : user)) ?? '',
      shell: last(({ shell }) => (shell.join('\0') === DEFAULT_SHELL.join('\0') ? undefined : shell)) ?? DEFAULT_SHELL,
      author: last(({ author }) => author),
      entrypoint: last(({ entrypoint }) => entrypoint),
      cmd: last(({ cmd }) => cmd),
      launchCmds: mergeCommands(sides),
      appNames: [...new Set(sides.flatMap(({ state }) => state.appNames))],
      applications: mergeApplications(sides, conflicts),
      containerImages: mergeContainerImages(sides),
    },
    conflicts,
  };
}

function mergeEnv(sides: readonly StateSide[], conflicts: Conflict[]): Record<string, string> {
  const merged = new Map<string, { readonly value: string; readonly by: string }>();
  for (const { name: by, state } of sides)
    for (const [name, value] of Object.entries(state.env)) {
      const before = merged.get(name);
      if (before !== undefined && before.value !== value)
        conflicts.push({ kind: 'env', subject: name, earlier: before.by, later: by, reason: 'different values' });
      merged.set(name, { value, by });
    }
  return Object.fromEntries([...merged].map(([name, { value }]) => [name, value]));
}

function mergeCommands(sides: readonly StateSide[]): string[] {
  const commands: string[] = [];
  for (const [number, { state, sharesBase }] of sides.entries()) {
    const own = state.launchCmds;
    const common = sharesBase
      ? Math.max(0, ...sides.slice(0, number).map((earlier) => commonStart(earlier.state.launchCmds, own)))
      : 0;
    commands.push(...own.slice(common));
  }
  return commands;
}

function commonStart(a: readonly string[], b: readonly string[]): number {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count++;
  return count;
}

function mergeApplications(sides: readonly StateSide[], conflicts: Conflict[]): Application[] {
  const merged = new Map<string, { readonly application: Application; readonly by: string }>();
  for (const { name: by, state } of sides)
    for (const application of state.applications) {
      const before = merged.get(application.name);
      if (before !== undefined && JSON.stringify(before.application) !== JSON.stringify(application))
        conflicts.push({
          kind: 'application',
          subject: application.name,
          earlier: before.by,
          later: by,
          reason: 'the same name for different applications',
        });
      merged.set(application.name, { application, by });
    }
  return [...merged.values()].map(({ application }) => application);
}

/** One name is one image: whether both mean the same content is found out from the registry's files. */
function mergeContainerImages(sides: readonly StateSide[]): ContainerImage[] {
  const merged = new Map<string, ContainerImage>();
  for (const { state } of sides)
    for (const image of state.containerImages) {
      const key = [fullName(image.image), image.appName ?? ''].join('\0');
      if (!merged.has(key)) merged.set(key, image);
    }
  return [...merged.values()];
}

function fullName(image: string): string {
  try {
    return canonicalName(parseReference(image));
  } catch (error) {
    if (!isSlipwayError(error)) throw error;
    return image;
  }
}
