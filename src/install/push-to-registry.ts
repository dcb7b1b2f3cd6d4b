import { messageOf, SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';
import { tryOnHosts } from '../hosts/host-group.js';
import { type Digest, digestOf } from '../image/digest.js';
import type { Platform } from '../image/platform.js';
import { parseReference, type Reference, registryAddress } from '../image/reference.js';
import { STORAGE_ROOT, tagLink } from '../registry/distribution-paths.js';
import type { RegistryOptions } from '../registry/options.js';
import { withSource } from '../registry/places/copy-between.js';
import { copyImage } from '../registry/places/copy-image.js';
import type { ImageSource } from '../registry/places/image-place.js';
import type { Place } from '../registry/places/place.js';
import { decodeHostToc, type HostToc } from './files/host-toc.js';
import { findLacks, supply } from './registry/even-out.js';
import { addMirrors } from './registry/more-mirrors.js';
import { registryName } from './registry/registry-access.js';
import { type StoragePlace, storageImageTarget } from './registry/storage-target.js';
import { isMaster } from './spec/cluster-spec.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import { assertOurs } from './state/assert-ours.js';
import type { HostPaths } from './state/cluster-paths.js';
import { REGISTRY_DIR } from './state/cluster-paths.js';
import { type ClusterState, registryServers } from './state/cluster-state.js';
import { keepOnMasters } from './state/kept-on-masters.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from './survey.js';
import { withLockedCluster } from './with-locked-cluster.js';

export interface PushOptions {
  readonly cluster: string;
  /** None: the registries are only brought in step. */
  readonly images: readonly Place[];
  /** The name that the only image gets; default the one that it has. */
  readonly as?: string | undefined;
  readonly platform?: Platform | undefined;
  readonly all?: boolean | undefined;
  readonly ssh: SshFlags;
  /** How registries that images come from are talked to. */
  readonly sourceRegistry: () => Promise<RegistryOptions>;
  readonly concurrency?: number;
}

/** What became of one image. */
export interface PushedImage {
  /** As pods name it. */
  readonly name: string;
  /** Where the cluster's registry has it: `sea.hub:5000/library/web:1`. */
  readonly place: string;
  readonly digest: Digest;
  readonly copied: number;
  /** Of it, what the registry had already. */
  readonly reused: number;
}

export interface PushResult {
  readonly cluster: string;
  readonly images: readonly PushedImage[];
  /** Hosts that have them now. */
  readonly servers: readonly string[];
  /** Hosts that serve the registry and lacked something of the others. */
  readonly supplied: readonly string[];
  /** Hosts that do not answer: they get it with the next push or apply. */
  readonly silent: readonly string[];
}

/**
 * Puts container images into the registry of a cluster that is up, on all hosts that serve it, over SSH: first on one, verified there, then from
 * it to the others. Pods find them under their own names: hosts learn of registries that the cluster's has not stood for yet.
 * @throws SlipwayError E_NOT_FOUND, E_LOCKED, E_CLUSTER_STATE without a registry of its own, E_USAGE for names that the cluster's image has.
 */
export function pushToRegistry(options: PushOptions, deps: InstallDeps): Promise<PushResult> {
  const { cluster: name, ssh, concurrency } = options;
  return withLockedCluster(
    { cluster: name, ssh, concurrency, purpose: 'registry push', check: checkRegistry },
    deps,
    async ({ cluster, state, paths, answering, silent }) => {
      const servers = registryServers(cluster).flatMap(
        (address) => answering.find((host) => host.address === address) ?? [],
      );
      const done = await pushTo(cluster, paths, servers, options, deps);
      const mirrors = await mirror(cluster, done.images, answering, deps);
      const now = { ...cluster, registry: { ...cluster.registry, ...mirrors } };
      const masters = cluster.hosts.filter(isMaster).map(({ address }) => address);
      await keepOnMasters(
        answering.filter(({ address }) => masters.includes(address)),
        now,
        state,
        deps.reporter,
      );
      return { cluster: cluster.name, ...done, silent };
    },
  );
}

/** @throws SlipwayError E_CLUSTER_STATE */
function checkRegistry(cluster: ClusterState): void {
  assertOurs(cluster);
  const { name, registry } = cluster;
  if (registry.external === true) {
    const own = registryName(registry);
    throw new SlipwayError('E_CLUSTER_STATE', `the registry of cluster ${name} is outside of it: ${own}`, {
      hint: `copy the image there: slipway copy IMAGE docker://${own}/NAME`,
    });
  }
  if (registryServers(cluster).length > 0) return;
  throw new SlipwayError('E_CLUSTER_STATE', `cluster ${name} has no registry: its image brings no container images`, {
    hint: 'build the image with its container images (BASE rootfs cache), and upgrade the cluster to it',
  });
}

async function pushTo(
  cluster: ClusterState,
  paths: HostPaths,
  servers: readonly Host[],
  options: PushOptions,
  { store, reporter, signal }: InstallDeps,
): Promise<Pick<PushResult, 'images' | 'servers' | 'supplied'>> {
  const [lead] = servers;
  const own = registryName(cluster.registry);
  if (lead === undefined) {
    throw new SlipwayError(
      'E_HOST_UNREACHABLE',
      `no host that serves the registry ${own} answers: ${registryServers(cluster).join(', ')}`,
      { hint: `"slipway status --cluster ${cluster.name}" shows how they are` },
    );
  }
  // What one has and another lacks from earlier, it has before something new comes: the new one is then the later of two.
  const earlier = await evenOut(servers, paths, signal);
  const toc = decodeHostToc((await lead.readFile(paths.toc)) ?? Buffer.alloc(0)) ?? new Map<string, string>();
  const images: PushedImage[] = [];
  for (const from of options.images) {
    let name: Reference | undefined;
    const placeOf = (source: ImageSource, { digest }: { readonly digest: Digest }): StoragePlace => {
      name = nameOf(source, options.as);
      const place = { repository: registryAddress(name).repository, tag: name.tag };
      refuseOwn(place, digest, toc, cluster);
      return place;
    };
    const copied = await store.use(() =>
      withSource(from, { store: async () => store, sourceRegistry: options.sourceRegistry, signal }, (source) =>
        copyImage(source, storageImageTarget(lead, paths, own, placeOf), {
          platform: options.platform,
          all: options.all,
          reporter,
          signal,
        }),
      ),
    );
    if (name === undefined) throw new SlipwayError('E_INTERNAL', `${from.text} was not copied`);
    const { host, repository } = registryAddress(name);
    const tag = name.tag === undefined ? `@${copied.descriptor.digest}` : `:${name.tag}`;
    images.push({
      name: `${host}/${repository}${tag}`,
      place: `${own}/${repository}${tag}`,
      digest: copied.descriptor.digest,
      copied: copied.copied,
      reused: copied.reused,
    });
  }
  const later = images.length === 0 ? [] : await evenOut(servers, paths, signal);
  return {
    images,
    servers: servers.map(({ address }) => address),
    supplied: [...new Set([...earlier, ...later])],
  };
}

/** @returns addresses of those that lacked something. */
async function evenOut(servers: readonly Host[], paths: HostPaths, signal: AbortSignal): Promise<readonly string[]> {
  if (servers.length < 2) return [];
  const lacks = await findLacks(servers, [], paths, signal);
  for (const lack of lacks) await supply(lack, paths, signal);
  return lacks.map(({ target }) => target.address);
}

/** @throws SlipwayError E_USAGE for an image that has no name. */
function nameOf({ names: [given], label }: ImageSource, as: string | undefined): Reference {
  const name = as ?? given;
  if (name === undefined) {
    throw new SlipwayError('E_USAGE', `${label} has no name`, { hint: 'give it one: --as docker.io/library/web:1.0' });
  }
  return parseReference(name);
}

/** What the cluster's image brings is what the next apply puts back. */
function refuseOwn(
  { repository, tag }: StoragePlace,
  digest: Digest,
  toc: HostToc,
  { image, name }: Pick<ClusterState, 'image' | 'name'>,
): void {
  if (tag === undefined) return;
  const brought = toc.get(`${REGISTRY_DIR}/${STORAGE_ROOT}/${tagLink(repository, tag)}`);
  if (brought === undefined || brought === digestOf(digest)) return;
  throw new SlipwayError(
    'E_USAGE',
    `${repository}:${tag} is an image that ${image.name} brings: the next apply of cluster ${name} would put it back`,
    { hint: 'give yours another tag with --as, or build an image with it and upgrade the cluster' },
  );
}

/** Lets the hosts find images under names of registries that the cluster's has not stood for yet. */
async function mirror(
  { registry }: ClusterState,
  images: readonly PushedImage[],
  hosts: readonly Host[],
  { reporter, signal }: InstallDeps,
): Promise<Pick<ClusterState['registry'], 'mirrors'>> {
  const own = registryName(registry);
  const upstreams = [...new Set(images.map(({ name }) => name.slice(0, name.indexOf('/'))))].filter(
    (one) => one !== own,
  );
  if (upstreams.length > 0) {
    const { results, failures } = await tryOnHosts(hosts, (host) => addMirrors(host, registry, upstreams), {
      concurrency: DEFAULT_CONCURRENCY,
      signal,
    });
    for (const { error } of failures) reporter.warn(messageOf(error));
    if ([...results.values()].includes(false)) {
      reporter.warn(
        `pods find images of ${upstreams.join(', ')} under ${own}/… only: the hosts have mirrors of another kind`,
      );
    }
  }
  const mirrors = [...new Set([...(registry.mirrors ?? []), ...upstreams])].sort();
  return mirrors.length === 0 ? {} : { mirrors };
}
