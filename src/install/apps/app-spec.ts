import { isSlipwayError, SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { isDigest } from '../../image/digest.js';
import { canonicalName, parseReference } from '../../image/reference.js';
import type { AppConfigSpec } from '../spec/cluster-spec.js';
import { type AppState, appNameSchema } from '../state/app-state.js';
import type { ClusterState } from '../state/cluster-state.js';

/** What is wanted of an application image on a cluster. */
export interface AppSpec {
  /** Undefined: that of the image. */
  readonly name: string | undefined;
  readonly image: string;
  /** As of a cluster: instead of what the image says. */
  readonly cmds: readonly string[] | undefined;
  readonly apps: readonly string[] | undefined;
  readonly appConfigs: readonly AppConfigSpec[];
  /** Beats all other variables. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The name by which an image is installed: the one given, else the last part of its repository (`web` for `example.com/shop/web:v1`).
 * @param image as the store names it.
 * @throws SlipwayError E_USAGE for what is no name, and when the name is that of another image and was not given.
 */
export function appName(given: string | undefined, image: string, applications: readonly AppState[]): string {
  if (given !== undefined) {
    const parsed = appNameSchema.safeParse(given);
    if (parsed.success) return given;
    throw new SlipwayError(
      'E_USAGE',
      `${JSON.stringify(given)} cannot name an application: ${parsed.error.issues[0]?.message}`,
    );
  }
  const name = repositoryOf(image)?.split('/').at(-1);
  if (name === undefined || !appNameSchema.safeParse(name).success) {
    throw new SlipwayError('E_USAGE', `${image} has no name that an application could have`, {
      hint: 'give it one: --name web',
    });
  }
  const there = applications.find((app) => app.name === name);
  if (there !== undefined && repositoryOf(there.image.name) !== repositoryOf(image)) {
    throw new SlipwayError('E_USAGE', `the application ${name} of this cluster is ${there.image.name}, another image`, {
      hint: `give this one another name, such as --name ${name}-2; with --name ${name} it takes the place of the other`,
    });
  }
  return name;
}

/** An application of a cluster by its name. @throws SlipwayError E_NOT_FOUND that says which there are. */
export function installedApp({ name: cluster, applications }: ClusterState, name: string): AppState {
  const found = applications.find((app) => app.name === name);
  if (found !== undefined) return found;
  const within = applications.find(({ launched }) => launched.some(({ application }) => application === name));
  const names = applications.map((app) => app.name);
  const near = suggest(name, names);
  throw new SlipwayError('E_NOT_FOUND', `no application ${JSON.stringify(name)} was installed on cluster ${cluster}`, {
    hint:
      within !== undefined
        ? `${name} is part of ${within.name} (${within.image.name})`
        : near !== undefined
          ? `did you mean ${near}?`
          : names.length === 0
            ? 'there is none: "slipway run-app" installs one; what the image of the cluster itself has launched goes with the cluster'
            : `there are ${names.join(', ')}`,
  });
}

/** Host and path, in one form for all names of Docker Hub; undefined for an image without a name. */
function repositoryOf(image: string): string | undefined {
  if (isDigest(image)) return undefined;
  try {
    return canonicalName({ ...parseReference(image), tag: undefined, digest: undefined });
  } catch (error) {
    if (isSlipwayError(error, 'E_INVALID_REFERENCE')) return undefined;
    throw error;
  }
}
