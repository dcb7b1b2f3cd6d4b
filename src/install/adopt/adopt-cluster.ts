import { fileSystemError, messageOf, SlipwayError } from '../../base/errors.js';
import { makeDirectory } from '../../base/make-directory.js';
import type { Host } from '../../hosts/host.js';
import type { ClusterNode, RuntimeDriver } from '../../runtime/driver.js';
import { replaceFile } from '../../store/durable.js';
import { readImage } from '../../store/local-image.js';
import { withLock } from '../../store/locks.js';
import { pinImages } from '../../store/pins.js';
import { driverOf } from '../cluster-hosts/ask-cluster.js';
import { sshConnect } from '../cluster-hosts/connect-hosts.js';
import type { HostOwner } from '../cluster-hosts/host-owner.js';
import { clusterfileOf } from '../clusterfile/write-clusterfile.js';
import { authorityFile } from '../registry/registry-mirrors.js';
import { WAY } from '../registry/way-script.js';
import { contextOfState } from '../removal.js';
import { clusterNameSchema, DEFAULTS, type HostSpec, isMaster } from '../spec/cluster-spec.js';
import type { SshFlags } from '../spec/spec-from-flags.js';
import { hostPaths, type StatePaths, statePaths } from '../state/cluster-paths.js';
import { type ClusterState, readClusterState, servedBy, writeClusterState } from '../state/cluster-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from '../survey.js';
import { hostsOfNodes, stateFromCopy, stateFromFindings } from './adopted-state.js';
import { type FoundImage, imageByDigest } from './find-image.js';
import { commonOwner, lookAt, readCopies, readSetups, runtimeOf, type Seen } from './look.js';
import { fetchRegistryKeys, findRegistry, registryUser, servesRegistry } from './registry-found.js';

export interface AdoptOptions {
  /** Some or all hosts of the cluster, masters among them. */
  readonly hosts: readonly HostSpec[];
  readonly ssh: SshFlags;
  /** Its name, where the hosts do not say it. */
  readonly cluster: string | undefined;
  /** An image of the store, which it is said to run. */
  readonly image: string | undefined;
  readonly dataRoot?: string | undefined;
  /** What is known here of a cluster of this name is thrown away. */
  readonly force: boolean;
  readonly concurrency?: number;
}

/** A cluster that is known here from now on. */
export interface Adopted {
  readonly state: ClusterState;
  /** `copy`: a master had kept all of it; `hosts`: put together from what Slipway left on them; `foreign`: others made it. */
  readonly from: 'copy' | 'hosts' | 'foreign';
  readonly clusterfile: string;
  readonly warnings: readonly string[];
}

/**
 * Makes a cluster known here that is not: one that others made, or one of Slipway's own whose launching machine is lost. Looks at its hosts
 * and asks its API; changes nothing there. Writes the state, the registry's certificates and the kubeconfig.
 * @throws SlipwayError E_CLUSTER_STATE when it is known already, or does not say enough; E_HOST_UNREACHABLE, E_USAGE, E_NOT_FOUND
 */
export async function adoptCluster(options: AdoptOptions, deps: InstallDeps): Promise<Adopted> {
  const connect = deps.connect ?? sshConnect();
  const hosts = new Map<string, Host>();
  const reach = (spec: HostSpec): Host => {
    const host = hosts.get(spec.address) ?? connect(spec);
    hosts.set(spec.address, host);
    return host;
  };
  try {
    // Nobody removes the image that is found meanwhile.
    return await deps.store.use(() => adopt(options, reach, deps));
  } finally {
    await Promise.all([...hosts.values()].map((host) => host.close().catch(() => {})));
    await connect.close?.();
  }
}

async function adopt(
  options: AdoptOptions,
  reach: (spec: HostSpec) => Host,
  { store, signal }: InstallDeps,
): Promise<Adopted> {
  const { hosts: given, dataRoot = DEFAULTS.dataRoot, concurrency = DEFAULT_CONCURRENCY } = options;
  const looks = await lookAt(given.map(reach), dataRoot, { concurrency, signal });
  const seen = looks.filter((look): look is Seen => 'facts' in look);
  const masters = seen.filter(({ host }) => given.some((one) => one.address === host.address && isMaster(one)));
  const silent = looks.flatMap((look) => ('failure' in look ? [`  ${look.host.address}: ${look.failure}`] : []));
  if (masters.length === 0) {
    throw new SlipwayError('E_HOST_UNREACHABLE', `no master can be asked:\n${silent.join('\n')}`, {
      hint: 'give a master that answers, with the login to it (-u, -i, -p, --port)',
    });
  }
  const owner = commonOwner(
    seen.map(({ host, traces }) => ({ address: host.address, owners: traces.owners })),
    options.cluster,
  );
  const name = nameOf(owner, options.cluster);
  const paths = statePaths(store.root, name);
  await makeDirectory(paths.dir, 0o700).catch((error: unknown) => {
    throw fileSystemError(error, `making ${paths.dir}`);
  });
  return withLock(
    paths.lock,
    'exclusive',
    `cluster ${name}`,
    async () => {
      await assertUnknown(paths, name, options.force);
      const work = { options, name, owner, seen, masters, dataRoot, reach };
      const found = (await fromCopy(work, store)) ?? (await fromFindings(work, store, signal));
      const warnings = [
        ...silent.map((line) => `not asked, for it does not answer:${line.slice(1)}`),
        ...found.warnings,
      ];
      // As after a launch: it stays in the store, whatever becomes of its name.
      if (found.image !== undefined) await pinImages(store, name, [found.image]);
      await writeClusterState(paths, found.state);
      return {
        state: found.state,
        from: found.from,
        clusterfile: clusterfileOf(found.state, await driverOf(found.state)),
        warnings: [...warnings, ...(await fetchKeys(found.state, masters, paths))],
      };
    },
    { waitSeconds: 0 },
  );
}

interface AdoptWork {
  readonly options: AdoptOptions;
  readonly name: string;
  readonly owner: HostOwner | undefined;
  readonly seen: readonly Seen[];
  readonly masters: readonly Seen[];
  readonly dataRoot: string;
  readonly reach: (spec: HostSpec) => Host;
}

interface Found extends Pick<Adopted, 'state' | 'from' | 'warnings'> {
  readonly image: FoundImage | undefined;
}

/** All of it, when a master of a cluster of ours has kept it. */
async function fromCopy(
  { options, owner, masters, seen, dataRoot }: AdoptWork,
  store: InstallDeps['store'],
): Promise<Found | undefined> {
  if (owner === undefined) return undefined;
  const copy = await readCopies(
    masters.map(({ host }) => host),
    dataRoot,
    owner,
  );
  if (copy === undefined) return undefined;
  const state = stateFromCopy({ ...copy, dataRoot }, options.hosts, options.ssh);
  const setups = await readSetups(
    seen.map(({ host }) => host),
    dataRoot,
    owner,
  );
  const others = [...setups].filter(([, setup]) => setup.image !== state.image.digest).map(([address]) => address);
  const image = await chooseImage(store, options.image, state.image.digest, [state.image.name]);
  return {
    state: { ...state, image: image === undefined ? state.image : nameAndDigest(image) },
    image,
    from: 'copy',
    warnings: [
      ...(image === undefined ? [missingImage(`${state.image.name} (${state.image.digest})`)] : []),
      ...(others.length === 0
        ? []
        : [`${others.join(', ')} set up from another image: an upgrade was on its way; "slipway apply" ends it`]),
    ],
  };
}

/** What hosts and API say of a cluster that has kept no state. */
async function fromFindings(
  { options, name, owner, seen, masters, dataRoot, reach }: AdoptWork,
  store: InstallDeps['store'],
  signal: AbortSignal,
): Promise<Found> {
  const { driver, runtime, master, nodes } = await askMasters(name, masters, dataRoot);
  const paths = hostPaths(dataRoot, name);
  const hosts = hostsOfNodes(options.hosts, nodes);
  const more = hosts.filter(({ address }) => !options.hosts.some((one) => one.address === address));
  const late = await lookAt(more.map(reach), dataRoot, { concurrency: DEFAULT_CONCURRENCY, signal });
  const all = [...seen, ...late.filter((look): look is Seen => 'facts' in look)];
  const description = await driver.describe?.(master, paths.rootfs);
  if (description === undefined) {
    throw new SlipwayError('E_UNSUPPORTED', `clusters of ${runtime} do not say how they are configured`, {
      hint: 'only those that Slipway launched can be adopted, by the copy of their state on a master',
    });
  }
  const setups =
    owner === undefined
      ? new Map()
      : await readSetups(
          all.map(({ host }) => host),
          dataRoot,
          owner,
        );
  const digest: string | undefined = setups.get(master.address)?.image;
  const image = await chooseImage(store, options.image, digest, []);
  const registry = await registryOf(
    masters.map(({ host }) => host),
    paths,
  );
  const state = stateFromFindings(
    {
      name,
      owner,
      image: image === undefined ? { name: 'unknown', digest: digest ?? 'unknown' } : nameAndDigest(image),
      runtime,
      description,
      nodes,
      hosts,
      facts: new Map(all.map(({ host, facts }) => [host.address, facts])),
      registry,
      dataRoot,
      notKept: registry.username === undefined ? [] : ['the password of the registry'],
    },
    new Date().toISOString(),
  );
  const warnings = [
    ...(owner !== undefined && image === undefined ? [missingImage(digest ?? 'which is not known')] : []),
    ...(owner === undefined
      ? []
      : [
          'its variables, launch commands and Configs are on no host: look at "slipway apply --dry-run" before anything is changed',
        ]),
    ...late.flatMap((look) => ('failure' in look ? [`${look.host.address} does not answer: ${look.failure}`] : [])),
  ];
  return { state, image, from: owner === undefined ? 'foreign' : 'hosts', warnings };
}

async function askMasters(
  name: string,
  masters: readonly Seen[],
  dataRoot: string,
): Promise<{
  readonly driver: RuntimeDriver;
  readonly runtime: string;
  readonly master: Host;
  readonly nodes: readonly ClusterNode[];
}> {
  const reasons: string[] = [];
  for (const { host, traces } of masters) {
    const runtime = runtimeOf(traces);
    if (runtime === undefined) {
      reasons.push(`  ${host.address}: there is no Kubernetes on it`);
      continue;
    }
    const driver = await driverOf({ runtime, name });
    try {
      const nodes = await driver.nodes(host, { rootfs: hostPaths(dataRoot, name).rootfs });
      return { driver, runtime, master: host, nodes };
    } catch (error) {
      reasons.push(`  ${host.address}: ${messageOf(error).trimEnd().split('\n').at(-1)?.trim()}`);
    }
  }
  throw new SlipwayError(
    'E_CLUSTER_STATE',
    `no API server answers that could say what the cluster is:\n${reasons.join('\n')}`,
    {
      hint: 'mend one master first: "crictl ps -a" and "journalctl -u kubelet" there',
    },
  );
}

/**
 * The image that was named, or the one that the hosts were set up from, when it is here.
 * @throws SlipwayError E_CLUSTER_STATE when the named one is another; E_NOT_FOUND
 */
async function chooseImage(
  store: InstallDeps['store'],
  named: string | undefined,
  digest: string | undefined,
  names: readonly string[],
): Promise<FoundImage | undefined> {
  if (named === undefined) return digest === undefined ? undefined : imageByDigest(store, digest, names);
  const image = await readImage(store, named);
  if (digest !== undefined && image.descriptor.digest !== digest) {
    throw new SlipwayError(
      'E_CLUSTER_STATE',
      `the hosts were set up from ${digest}, and ${image.name} is ${image.descriptor.digest}`,
      { hint: 'leave --image out, or name the image that the cluster runs; another one comes with "slipway upgrade"' },
    );
  }
  return image;
}

function nameAndDigest({ name, descriptor }: FoundImage): ClusterState['image'] {
  return { name, digest: descriptor.digest };
}

function missingImage(what: string): string {
  return `its image ${what} is not in the store: pull or load it before join, apply and upgrade`;
}

function nameOf(owner: HostOwner | undefined, given: string | undefined): string {
  const name = owner?.cluster ?? given ?? DEFAULTS.clusterName;
  const checked = clusterNameSchema.safeParse(name);
  if (checked.success) return name;
  throw new SlipwayError('E_USAGE', `${JSON.stringify(name)}: ${checked.error.issues[0]?.message}`);
}

async function assertUnknown(paths: StatePaths, name: string, force: boolean): Promise<void> {
  if (force) return;
  if ((await readClusterState(paths)) === undefined) return;
  throw new SlipwayError('E_CLUSTER_STATE', `cluster ${name} is known here already`, {
    hint: `"slipway status --cluster ${name}" shows it; --force throws away what is known and asks the hosts`,
  });
}

async function registryOf(
  masters: readonly Host[],
  paths: ReturnType<typeof hostPaths>,
): Promise<ClusterState['registry']> {
  const [first] = masters;
  const found = first === undefined ? undefined : await findRegistry(first);
  if (found === undefined) return { ...DEFAULTS.registry };
  const servers: Host[] = [];
  for (const master of masters) if (await servesRegistry(master, paths, found.domain)) servers.push(master);
  const [server] = servers;
  if (server === undefined) {
    // It is outside of the cluster; the name of the user is only with the password.
    const ca = await first?.readFile(authorityFile(found));
    return { ...found, external: true, ...(ca === undefined ? {} : { ca: ca.toString('utf8') }) };
  }
  const username = await registryUser(server, paths, found.domain);
  return {
    ...found,
    ...(username === undefined ? {} : { username }),
    ...servedBy(servers.map(({ address }) => address)),
    ...((await server.exists(WAY.config)) ? { ha: true } : {}),
  };
}

/** What belongs beside the state: the registry's keys, so that they stay what they are, and the kubeconfig. Without them it is known all the same. */
async function fetchKeys(state: ClusterState, masters: readonly Seen[], paths: StatePaths): Promise<readonly string[]> {
  const warnings: string[] = [];
  const on = hostPaths(state.dataRoot, state.name);
  const server = masters.find(({ host }) => host.address === state.registry.address)?.host;
  if (server !== undefined) {
    await fetchRegistryKeys(server, on, state.registry, paths).catch((error: unknown) => {
      warnings.push(`the keys of the registry could not be fetched: ${messageOf(error)}`);
    });
  }
  const [master] = masters;
  if (master === undefined) return warnings;
  try {
    const driver = await driverOf(state);
    const text = await driver.kubeconfig(master.host, contextOfState(state, [master.host], []));
    await replaceFile(paths.kubeconfig, `${paths.kubeconfig}.new`, text, 0o600);
  } catch (error) {
    warnings.push(`the kubeconfig could not be fetched: ${messageOf(error)}`);
  }
  return warnings;
}
