import type { Reporter } from '../../base/reporter.js';
import type { Host } from '../../hosts/host.js';
import { type AppImages, compareImages } from '../files/app-files.js';
import { entriesDigest } from '../files/rootfs.js';
import { type Phase, type Step, stepId } from '../plan/step.js';
import { appPaths, type HostPaths } from '../state/cluster-paths.js';
import type { InstallWork } from '../work.js';
import { sendStep } from './send-step.js';

/** What {@link appImageSteps} works with. */
export interface AppImageWork {
  readonly paths: HostPaths;
  /** Every application of the cluster, these too. */
  readonly applications: readonly { readonly name: string }[];
  readonly reporter: Reporter;
}

/** Gives hosts that serve the registry the container images of applications, beside those of the cluster. */
export function appImageSteps(
  apps: readonly AppImages[],
  hosts: readonly Host[],
  { paths, applications, reporter }: AppImageWork,
): readonly Step[] {
  return apps.flatMap(({ name, entries }) => {
    const others = applications.filter((one) => one.name !== name);
    const inputs = entriesDigest(entries);
    return hosts.map((host) =>
      sendStep({
        id: stepId(`app-${name}-images`, host.address),
        host,
        title: `send the container images of ${name}`,
        why: 'the registry serves them',
        inputs,
        paths: appPaths(paths, name).images,
        reporter,
        wanted: () => entries,
        compare: (wanted, signal) => compareImages(host, paths, { name, others }, wanted, signal),
      }),
    );
  });
}

/** The images of the applications that are on a cluster already: a host that begins to serve the registry needs them too. */
export const appImagesPhase: Phase<InstallWork> = {
  name: 'app-images',
  title: 'Give the registry the images of applications',
  // One after the other: they share a directory.
  serial: true,
  steps: (work) =>
    appImageSteps(
      work.appImages,
      work.hosts.flatMap(({ host, servesRegistry }) => (servesRegistry ? host : [])),
      work,
    ),
};
