import { SlipwayError } from '../../base/errors.js';
import { suggest } from '../../base/suggest.js';
import { allowsKubeVersion, applicationDir, startCommands } from '../../image/applications.js';
import type { PreflightReport } from '../plan/preflight.js';
import type { AppConfigSpec, ClusterSpec, ConfigSpec } from '../spec/cluster-spec.js';
import type { ApplicationImage } from './install-image.js';

/** A command that is run on the first master once the cluster is up. */
export interface LaunchCommand {
  readonly command: string;
  /** Undefined for a command of the image as a whole, which is run in the rootfs. */
  readonly application: string | undefined;
  /** `a command of the image` */
  readonly why: string;
}

/**
 * Everything that is launched, in order: the commands, then the applications. What is given for a cluster replaces what the image says; with
 * commands given, the image's applications are left alone unless they are given too.
 * @throws SlipwayError E_USAGE for an application that was given and is not in the image, E_CLUSTERFILE when it is configured;
 * E_INVALID_MANIFEST for one that the image launches and does not have, or that nothing can start.
 */
export function launchCommands(
  { cmds, apps, appConfigs = [] }: Pick<ClusterSpec, 'cmds' | 'apps' | 'appConfigs'>,
  image: Pick<ApplicationImage, 'name' | 'launchCmds' | 'launchApps' | 'applications'>,
): readonly LaunchCommand[] {
  const own = cmds === undefined;
  const names = apps ?? (own ? image.launchApps : []);
  assertConfigured(appConfigs, image);
  return [
    ...(cmds ?? image.launchCmds).map((command) => ({
      command,
      application: undefined,
      why: own ? 'a command of the image' : 'a command that was given',
    })),
    ...names.flatMap((name) => {
      const app = image.applications.find((one) => one.name === name);
      if (app === undefined) throw unknownApplication(name, image, apps !== undefined);
      const commands = appConfigs.find((one) => one.name === name)?.launch ?? startCommands(app);
      if (commands.length === 0)
        throw new SlipwayError(
          'E_INVALID_MANIFEST',
          `${image.name} does not say how its application ${name} is started`,
          {
            hint: `build it with APPCMDS ${name} ["command"]`,
          },
        );
      return commands.map((command) => ({ command, application: name, why: `starts the application ${name}` }));
    }),
  ];
}

/** The files of applications, as files of the rootfs. */
export function appConfigFiles(appConfigs: readonly AppConfigSpec[] = []): readonly ConfigSpec[] {
  return appConfigs.flatMap(({ name, files }) =>
    files.map((file) => ({ ...file, path: `${applicationDir(name)}/${file.path}` })),
  );
}

/** What applications need, of their image and of the Kubernetes that they are for: `version` is that of the cluster. */
export function applicationFindings(
  image: Pick<ApplicationImage, 'kubeConstraint' | 'applications' | 'rootfs'> & { readonly version: string },
  launched: readonly LaunchCommand[],
  { installs = true }: { readonly installs?: boolean } = {},
): Pick<PreflightReport, 'problems' | 'warnings'> {
  const { version, kubeConstraint: wanted, applications, rootfs } = image;
  const problems: PreflightReport['problems'][number][] = [];
  const warnings: string[] = [];
  if (wanted !== undefined && !allows(wanted, version, warnings)) {
    problems.push({
      host: undefined,
      problem: `the applications of the image need Kubernetes ${wanted} (KUBEVERSION), and ${installs ? 'it installs' : 'the cluster has'} ${version}`,
      hint: installs
        ? 'build it FROM a base image with such a version, or with applications for this one'
        : 'take the cluster there with "slipway upgrade", or an image of applications for this version',
    });
  }
  for (const name of new Set(launched.flatMap(({ application }) => application ?? []))) {
    if (rootfs.entries.some(({ path, type }) => path === applicationDir(name) && type === 'dir')) continue;
    problems.push({
      host: undefined,
      problem: `the image launches the application ${name} and has no ${applicationDir(name)}`,
      hint: `build it again with APP ${name}`,
    });
  }
  const charts = applications.filter(
    ({ name, type, cmds = [] }) =>
      type === 'helm' && cmds.length === 0 && launched.some(({ application }) => application === name),
  );
  if (charts.length > 0 && !rootfs.entries.some(({ path }) => path === 'bin/helm')) {
    const names = charts.map(({ name }) => name).join(', ');
    warnings.push(
      `${names}: charts are installed with helm; the image has no bin/helm, so the first master must have it`,
    );
  }
  return { problems, warnings };
}

function assertConfigured(
  appConfigs: readonly AppConfigSpec[],
  { name: image, applications }: Pick<ApplicationImage, 'name' | 'applications'>,
): void {
  const names = applications.map((app) => app.name);
  for (const { name, place } of appConfigs) {
    if (names.includes(name)) continue;
    const near = suggest(name, names);
    const none = names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
    throw new SlipwayError(
      'E_CLUSTERFILE',
      `${place === undefined ? '' : `${place}: `}${image} has no application ${JSON.stringify(name)}`,
      { hint: near === undefined ? none : `did you mean ${near}?` },
    );
  }
}

function allows(constraint: string, version: string, warnings: string[]): boolean {
  try {
    return allowsKubeVersion(constraint, version);
  } catch {
    warnings.push(
      `the image needs Kubernetes ${JSON.stringify(constraint)}, which cannot be understood and is not checked`,
    );
    return true;
  }
}

function unknownApplication(
  name: string,
  { name: image, applications }: Pick<ApplicationImage, 'name' | 'applications'>,
  given: boolean,
): SlipwayError {
  const names = applications.map((app) => app.name);
  const near = suggest(name, names);
  return given
    ? new SlipwayError('E_USAGE', `${image} has no application ${JSON.stringify(name)}`, {
        hint:
          near !== undefined
            ? `did you mean ${near}?`
            : names.length === 0
              ? 'it has none'
              : `it has ${names.join(', ')}`,
      })
    : new SlipwayError(
        'E_INVALID_MANIFEST',
        `${image} launches the application ${JSON.stringify(name)}, which it does not have`,
        {
          hint: 'build it again; "slipway inspect" shows what it has',
        },
      );
}
