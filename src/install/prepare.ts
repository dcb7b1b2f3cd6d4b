import { SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import type { Host } from '../hosts/host.js';
import { runtimeName } from '../image/metadata.js';
import { chooseClusterRuntime } from '../runtime/choose.js';
import type { ClusterContext } from '../runtime/driver.js';
import { applicationEnvs, clusterVariables, hostVariables } from './cluster-hosts/host-env.js';
import { appConfigFiles, launchCommands } from './files/applications.js';
import { withConfigs } from './files/config-files.js';
import { type InstallImage, imageDocuments } from './files/install-image.js';
import { entriesDigest, hostRootfs, isInside, renderTemplates, totalBytes } from './files/rootfs.js';
import { registryScript } from './files/script-names.js';
import { noEtcd } from './hooks/etcd-backup.js';
import { readImagePlugins } from './hooks/image-plugins.js';
import { pluginWarnings } from './hooks/plugin-marks.js';
import { inputsDigest } from './plan/step.js';
import { type RegistryAccess, registryAccess } from './registry/registry-access.js';
import { registryCertificates } from './registry/registry-certificates.js';
import { authorityFile } from './registry/registry-mirrors.js';
import type { Removal } from './removal.js';
import { type ClusterSpec, type HostSpec, isMaster, registryMasters } from './spec/cluster-spec.js';
import type { PluginSpec } from './spec/plugin-spec.js';
import { hostPaths, type StatePaths } from './state/cluster-paths.js';
import type { ClusterState } from './state/cluster-state.js';
import type { InstallWork, Moments, WorkHost } from './work.js';

/** Directories of a rootfs that set a host up. */
const SETUP_DIRS = ['bin', 'cni', 'etc', 'images', 'scripts'];

/** What can be said of an installation before any host was looked at. */
export interface Prepared {
  readonly spec: ClusterSpec;
  readonly image: InstallImage;
  readonly driver: InstallWork['driver'];
  readonly documents: ClusterSpec['configDocuments'];
  readonly networks: ReturnType<InstallWork['driver']['networks']>;
  /** Env of image and cluster with the variables that sealer's scripts know. */
  readonly env: Readonly<Record<string, string>>;
  readonly servesImages: boolean;
  readonly imagePlugins: readonly PluginSpec[];
  /** Those of the image first, then those of the specification. */
  readonly plugins: readonly PluginSpec[];
  readonly pluginWarnings: readonly string[];
}

/**
 * Puts image and specification together.
 * @throws SlipwayError E_UNSUPPORTED for a runtime that cannot be installed; E_CLUSTERFILE for documents of the image, for files
 * that cannot be put into it, for its plugins, and for another container runtime than it has.
 */
export async function prepare(spec: ClusterSpec, found: InstallImage): Promise<Prepared> {
  const { containerRuntime: wanted } = spec;
  if (wanted !== undefined && wanted !== found.containerRuntime) {
    throw new SlipwayError('E_CLUSTERFILE', `${found.name} brings ${found.containerRuntime}, not ${wanted}`, {
      hint: 'leave containerRuntime out, or take another image',
    });
  }
  // What cannot be launched is told before any host is looked at.
  launchCommands(spec, found);
  const configs = [...spec.configs, ...appConfigFiles(spec.appConfigs)];
  const image = { ...found, rootfs: await withConfigs(found.rootfs, configs) };
  const driver = await chooseClusterRuntime(image.metadata);
  const foreign = spec.configDocuments.find(({ kind }) => !driver.documentKinds.includes(String(kind)));
  if (foreign !== undefined) {
    throw new SlipwayError(
      'E_CLUSTERFILE',
      `a document ${String(foreign.kind)} says nothing to ${found.name}, which installs ${runtimeName(driver.name)}`,
      { hint: `take it out, or write ${driver.documentKinds.join(', ')}` },
    );
  }
  const paths = hostPaths(spec.dataRoot, spec.name);
  const given = { ...image.env, ...spec.env };
  const variables = (networks: Prepared['networks']): Record<string, string> => ({
    ...clusterVariables({
      clusterName: spec.name,
      rootfs: paths.rootfs,
      containerRuntime: image.containerRuntime,
      registry: spec.registry,
      networks,
    }),
    ...given,
  });
  // The documents may use variables, and say what some variables are: the networks of the specification count for the first round.
  const documents = [
    ...(await imageDocuments(image, variables(driver.networks(spec.configDocuments)))),
    ...spec.configDocuments,
  ];
  const networks = driver.networks(documents);
  const { plugins: imagePlugins, warnings } = await readImagePlugins(image.rootfs);
  const plugins = [...imagePlugins, ...spec.plugins];
  const noBackup = driver.saveEtcd === undefined ? plugins.find(({ type }) => type === 'ETCD') : undefined;
  if (noBackup !== undefined) throw noEtcd(noBackup, driver.name);
  return {
    spec,
    image,
    driver,
    documents,
    networks,
    env: variables(networks),
    servesImages: registryScript(image.rootfs.entries, { rootfs: paths.rootfs, ...spec.registry }) !== undefined,
    imagePlugins,
    plugins,
    pluginWarnings: [...warnings, ...pluginWarnings(plugins, spec)],
  };
}

/** Addresses of the hosts that serve the registry. */
export function registryHosts({ spec, servesImages }: Pick<Prepared, 'spec' | 'servesImages'>): readonly string[] {
  return servesImages ? registryMasters(spec).map(({ address }) => address) : [];
}

/** Bytes that an installation takes on a host: its files, what is copied and unpacked of them, and some room. */
export function neededBytes(prepared: Prepared, { address }: HostSpec): number {
  const serves = registryHosts(prepared).includes(address);
  const files = totalBytes(prepared.image.rootfs.entries, (path) => serves || !isInside(path, 'registry'));
  const images = totalBytes(prepared.image.rootfs.entries, (path) => isInside(path, 'registry'));
  return files + programBytes(prepared) + images + 512 * 1024 * 1024;
}

export interface WorkOptions {
  readonly state: StatePaths;
  readonly clusterState: ClusterState;
  readonly begun: boolean;
  /** Address of the master that is asked; undefined: the first one. */
  readonly entry: string | undefined;
  readonly setups: InstallWork['setups'];
  readonly setUpAgain: boolean;
  readonly upgradeBatch: number;
  readonly drainTimeoutMs: number;
  /** Takes hosts out that are wanted no more. */
  readonly removal: ((context: ClusterContext) => Removal) | undefined;
  /** Every host of the specification. */
  readonly hosts: ReadonlyMap<string, Host>;
  /** Hosts of the cluster that nothing is done on: they do not answer. */
  readonly leftOut: ReadonlySet<string>;
  readonly appImages: InstallWork['appImages'];
  readonly concurrentUploads: number;
  readonly fanOut: boolean;
  readonly readyTimeoutMs: number;
  /** How long a node may take to come up when it joins; undefined: as long as its driver thinks right. */
  readonly nodeTimeoutMs: number | undefined;
  readonly reporter: Reporter;
}

/** Everything the phases work with: templates rendered, certificates made. */
export async function makeWork(prepared: Prepared, options: WorkOptions): Promise<InstallWork> {
  const { spec, image, driver, networks } = prepared;
  const { state, clusterState, concurrentUploads, readyTimeoutMs, reporter } = options;
  const paths = hostPaths(spec.dataRoot, spec.name);
  const setupOfImage = entriesDigest(image.rootfs.entries.filter(({ path }) => isSetup(path)));
  const hosts: WorkHost[] = [];
  const servers = registryHosts(prepared);
  const warned = new Set<string>();
  const warn = (warning: string): void => {
    if (!warned.has(warning)) reporter.warn(warning);
    warned.add(warning);
  };
  for (const hostSpec of spec.hosts) {
    const host = options.hosts.get(hostSpec.address);
    if (host === undefined) throw new SlipwayError('E_INTERNAL', `host ${hostSpec.address} was never connected`);
    const index = clusterState.hosts.find(({ address }) => address === hostSpec.address)?.index ?? 0;
    const ownEnv = { ...hostVariables(hostSpec.address, index, networks), ...hostSpec.env };
    const env = { ...prepared.env, ...ownEnv };
    const ofApplications = applicationEnvs(env, image.applications, { ...spec.env, ...ownEnv }, spec.appConfigs);
    const rendered = await renderTemplates(image.rootfs, env, { applications: ofApplications, warn });
    const servesRegistry = servers.includes(hostSpec.address);
    hosts.push({
      address: hostSpec.address,
      spec: hostSpec,
      host,
      master: isMaster(hostSpec),
      env,
      applicationEnvs: ofApplications,
      servesRegistry,
      rendered,
      wanted: () => hostRootfs(image.rootfs, rendered, servesRegistry),
      wantedDigest: inputsDigest(image.rootfs.digest, servesRegistry, entriesDigest(rendered)),
      setupDigest: inputsDigest(setupOfImage, entriesDigest(rendered.filter(({ path }) => isSetup(path)))),
    });
  }
  const masters = hosts.filter(({ master }) => master);
  const workers = hosts.filter(({ master }) => !master);
  const [first] = masters;
  if (first === undefined) throw new SlipwayError('E_CLUSTER_STATE', `cluster ${spec.name} has no master`);
  const entry = masters.find(({ address }) => address === options.entry) ?? first;
  const registry = await accessOf(prepared, state);
  const caFile = registry?.ca === undefined ? undefined : authorityFile(registry);
  const cluster: ClusterContext = {
    name: spec.name,
    rootfs: paths.rootfs,
    version: image.version,
    masters: [entry, ...masters.filter((one) => one !== entry)].map(({ host }) => host),
    workers: workers.map(({ host }) => host),
    registry: { domain: spec.registry.domain, port: spec.registry.port, caFile },
    env: prepared.env,
    configDocuments: prepared.documents,
    // With those that were added by hand: a runtime that makes its certificates from a file would lose them again.
    certSANs: clusterState.certSANs,
    nodeTimeoutMs: options.nodeTimeoutMs,
  };
  return {
    spec,
    image,
    driver,
    cluster,
    owner: { cluster: spec.name, id: clusterState.id },
    begun: options.begun,
    hosts: hosts.filter(({ address }) => !options.leftOut.has(address)),
    entry,
    removal: options.removal?.(cluster),
    setups: options.setups,
    setUpAgain: options.setUpAgain,
    changing: clusterState.changing !== undefined,
    upgradeBatch: options.upgradeBatch,
    drainTimeoutMs: options.drainTimeoutMs,
    paths,
    state,
    applications: clusterState.applications,
    appImages: options.appImages,
    registry,
    upstreams: allUpstreams(image.upstreams, clusterState),
    concurrentUploads,
    fanOut: options.fanOut,
    readyTimeoutMs,
    plugins: prepared.plugins,
    moments: momentsOf(clusterState),
    reporter,
  };
}

function momentsOf({ phase, scaleUp, changing, changeBegun = '' }: ClusterState): Moments {
  return {
    installing: phase !== 'running',
    scaleUp,
    change: changing === undefined ? undefined : { kind: changing, begun: changeBegun },
  };
}

/** Registries that container images come from, each once: those of the image, of applications, and those that were put there later. */
function allUpstreams(ofImage: readonly string[], { applications, registry }: ClusterState): readonly string[] {
  const ofApplications = applications.flatMap(({ upstreams }) => upstreams);
  return [...new Set([...ofImage, ...ofApplications, ...(registry.mirrors ?? [])])].sort();
}

/** How the hosts get to the registry; its certificates are made when they are not there yet. Undefined when there is none. */
async function accessOf(prepared: Prepared, { pki }: StatePaths): Promise<RegistryAccess | undefined> {
  const { name, registry } = prepared.spec;
  const servers = registryHosts(prepared);
  if (registry.external === true) return registryAccess(registry, [], undefined);
  if (servers.length === 0) return undefined;
  if (registry.insecure === true) return registryAccess(registry, servers, undefined);
  const names = [registry.domain, ...servers, ...(registry.names ?? [])];
  return registryAccess(registry, servers, await registryCertificates(pki, name, names));
}

/** `bin/` and `cni/` are copied to where the system looks for programs. */
function programBytes({ image }: Prepared): number {
  return totalBytes(image.rootfs.entries, (path) => isInside(path, 'bin') || isInside(path, 'cni'));
}

function isSetup(path: string): boolean {
  return SETUP_DIRS.some((dir) => isInside(path, dir));
}
