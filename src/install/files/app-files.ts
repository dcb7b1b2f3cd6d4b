import type { Host } from '../../hosts/host.js';
import { appPaths, type HostPaths, REGISTRY_DIR } from '../state/cluster-paths.js';
import { compareHost, type HostDifference, readToc } from './distribute.js';
import type { HostToc } from './host-toc.js';
import type { WantedEntry } from './rootfs.js';
import { besideOthers, joinTocs, tocBeneath, tocWithin } from './shared-files.js';

type ClusterPlaces = Pick<HostPaths, 'apps' | 'rootfs' | 'toc'>;
interface Named {
  readonly name: string;
}

/** Container images that an application brings, as they are in the directory of a registry. */
export interface AppImages {
  readonly name: string;
  readonly entries: readonly WantedEntry[];
}

/** The container images of an application image, as they are in the directory of a registry. */
export function imageEntries(entries: readonly WantedEntry[]): readonly WantedEntry[] {
  const inside = `${REGISTRY_DIR}/`;
  return entries.flatMap((entry) =>
    entry.path.startsWith(inside) ? [{ ...entry, path: entry.path.slice(inside.length) }] : [],
  );
}

/** What applications have put into the cluster's rootfs on a host: container images. Paths as they are in the rootfs. */
export async function appFilesInRootfs(host: Host, paths: ClusterPlaces, apps: readonly Named[]): Promise<HostToc> {
  return tocBeneath(await imagesOf(host, paths, apps), REGISTRY_DIR);
}

/** What cluster and other applications have in the directory of the registry, as paths in it. */
export async function othersInRegistry(host: Host, paths: ClusterPlaces, others: readonly Named[]): Promise<HostToc> {
  const [ofCluster, ofApps] = await Promise.all([readToc(host, paths), imagesOf(host, paths, others)]);
  return joinTocs([tocWithin(ofCluster, REGISTRY_DIR), ofApps]);
}

/** Compares the container images of an application with what a host has, where others have theirs too. */
export async function compareImages(
  host: Host,
  paths: ClusterPlaces,
  { name, others }: Named & { readonly others: readonly Named[] },
  wanted: readonly WantedEntry[],
  signal?: AbortSignal,
): Promise<HostDifference> {
  const found = await compareHost(host, appPaths(paths, name).images, wanted, signal);
  const difference = besideOthers(found.difference, await othersInRegistry(host, paths, others), found.listing);
  return { ...found, difference };
}

async function imagesOf(host: Host, paths: ClusterPlaces, apps: readonly Named[]): Promise<HostToc> {
  return joinTocs(await Promise.all(apps.map(({ name }) => readToc(host, appPaths(paths, name).images))));
}
