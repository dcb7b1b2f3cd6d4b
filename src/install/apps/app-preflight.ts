import { formatBytes } from '../../base/format.js';
import { othersInRegistry } from '../files/app-files.js';
import type { ApplicationImage } from '../files/install-image.js';
import { totalBytes } from '../files/rootfs.js';
import { conflicts, taggedImage } from '../files/shared-files.js';
import type { PreflightProblem } from '../plan/preflight.js';
import type { AppState } from '../state/app-state.js';
import type { ClusterState } from '../state/cluster-state.js';
import type { AppHosts } from './app-hosts.js';
import type { AppWork } from './app-work.js';

/** Hosts that serve the registry must take the container images. */
export function registryProblems(
  { up }: AppHosts,
  { name, servesImages }: AppState,
  servers: readonly string[],
): readonly PreflightProblem[] {
  if (!servesImages) return [];
  return servers
    .filter((address) => !up.some((one) => one.address === address))
    .map((host) => ({
      host,
      problem: `it serves the registry of the cluster and cannot be reached: the container images of ${name} go there`,
      hint: 'bring it up first; or let another host serve the registry: take it out of the Clusterfile, and "slipway apply"',
    }));
}

/** What the master that commands are run on lacks. @param there the application as it is there already. */
export function entryProblems(
  { entry, up }: AppHosts,
  { name, platform, rootfs }: ApplicationImage,
  there: AppState | undefined,
): readonly PreflightProblem[] {
  const wrong = up.filter(({ finding }) => finding.facts.architecture !== platform.architecture);
  const problems: PreflightProblem[] = wrong
    .filter((one) => one === entry)
    .map(({ address, finding: { facts } }) => ({
      host: address,
      problem: `its architecture is ${facts.architecture}, ${name} is for ${platform.architecture}`,
      hint: `use an image that was built with --platform linux/${facts.architecture}`,
    }));
  const needed = there === undefined ? totalBytes(rootfs.entries) : 0;
  const free = entry?.finding.facts.diskFreeBytes ?? needed;
  if (entry === undefined || free >= needed) return problems;
  const disk = `${formatBytes(free)} of disk are free, ${formatBytes(needed)} are needed`;
  return [...problems, { host: entry.address, problem: disk, hint: 'free some space, or enlarge the file system' }];
}

/** Tags that the cluster or another application has for other images: taking them over would change what theirs run. */
export async function conflictProblems({
  app,
  applications,
  images,
  registryHosts,
  paths,
}: AppWork): Promise<readonly PreflightProblem[]> {
  const others = applications.filter(({ name }) => name !== app.name);
  const problems: PreflightProblem[] = [];
  for (const host of registryHosts) {
    const taken = conflicts(images, await othersInRegistry(host, paths, others)).map(taggedImage);
    if (taken.length === 0) continue;
    problems.push({
      host: host.address,
      problem: `the registry has other images by these names, which the cluster or another application needs: ${taken.join(', ')}`,
      hint: 'build the application with the same ones (imageList.lock pins digests), or with other tags',
    });
  }
  return problems;
}

/** A runtime that reads where images are pulled from when it starts is not told of more registries while it runs. */
export function mirrorProblems(
  { app, upstreams, cluster }: Pick<AppWork, 'app' | 'upstreams' | 'cluster'>,
  { driver }: Pick<AppHosts, 'driver'>,
): readonly PreflightProblem[] {
  if (!app.servesImages || upstreams.length === 0 || driver.registrySettings === undefined) return [];
  return [
    {
      host: undefined,
      problem: `the container images of ${app.image.name} come from ${upstreams.join(', ')}, for which the hosts of cluster ${cluster} do not ask its registry`,
      hint: 'name them as images of a registry that the image of the cluster has images of ("slipway images-in"), or of the registry of the cluster itself',
    },
  ];
}

/** What a person should know before it is installed. @param hasImages whether its image brings container images. */
export function appWarnings(
  { name: cluster, changing, applications, registry }: ClusterState,
  app: AppState,
  hasImages: boolean,
  { silent }: AppHosts,
): readonly string[] {
  const same = applications.flatMap((other) =>
    other.name === app.name
      ? []
      : other.launched
          .filter(({ application }) =>
            app.launched.some((one) => one.application !== undefined && one.application === application),
          )
          .map(
            ({ application }) =>
              `${other.name} has started an application ${application} too: what has the same name in the cluster becomes this one's`,
          ),
  );
  return [
    ...(changing === undefined ? [] : [`the ${changing} of cluster ${cluster} was not finished`]),
    ...(hasImages && !app.servesImages
      ? [
          registry.external === true
            ? `the registry of cluster ${cluster} is outside of it: put the container images of ${app.image.name} there first, if they are not ("slipway copy"); they are not uploaded`
            : `cluster ${cluster} has no registry: the container images of ${app.image.name} are not served, hosts pull from where their names say`,
        ]
      : []),
    ...silent.map(({ message }) => `left out: ${message}`),
    ...same,
  ];
}
