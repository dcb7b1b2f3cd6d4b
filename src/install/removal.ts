import { isSlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import type { Host } from '../hosts/host.js';
import type { ClusterContext, RemoveOptions } from '../runtime/driver.js';
import type { ClusterTraces } from './cluster-hosts/host-owner.js';
import { keptHostEnv } from './cluster-hosts/kept-env.js';
import type { HookHost } from './hooks/hook-step.js';
import { firstMaster } from './hooks/plugin-marks.js';
import type { WayAccess } from './registry/registry-way.js';
import type { ResetWork } from './reset-work.js';
import { isMaster } from './spec/cluster-spec.js';
import { hostPaths } from './state/cluster-paths.js';
import { type ClusterState, registryServers } from './state/cluster-state.js';

/** A host that leaves a cluster. */
export interface LeavingHost {
  readonly address: string;
  readonly host: Host;
  /** What is on it; undefined when it does not answer. */
  readonly traces: ClusterTraces | undefined;
}

/** What the phases work with that take hosts out of a cluster that goes on without them: no image is needed. */
export interface Removal extends ResetWork {
  /** The cluster without them; a master that answers is its first. */
  readonly context: ClusterContext;
  readonly leaving: readonly LeavingHost[];
  /** Hosts that stay and answer: they are told of it. */
  readonly staying: readonly Host[];
  /** Where the hosts that stay find the registry. */
  readonly registryWay: WayAccess;
  /** Whether the cluster is up already, so that hosts can be taken out of it before others join. */
  readonly up: boolean;
  readonly options: RemoveOptions;
}

export interface RemovalFacts extends Pick<Removal, 'driver' | 'context' | 'leaving' | 'staying' | 'up' | 'options'> {
  readonly state: ClusterState;
  /** Hooks are left out. */
  readonly skipHooks?: boolean;
}

/** A cluster as a driver is told of it, from its state. */
export function contextOfState(
  state: ClusterState,
  masters: readonly Host[],
  workers: readonly Host[],
): ClusterContext {
  return {
    name: state.name,
    rootfs: hostPaths(state.dataRoot, state.name).rootfs,
    version: state.version,
    masters,
    workers,
    registry: { domain: state.registry.domain, port: state.registry.port, caFile: undefined },
    env: state.env,
    configDocuments: state.documents,
    certSANs: state.certSANs,
  };
}

/** Puts together what is needed to take hosts out. Those that answer and carry our mark are cleaned as well. */
export function makeRemoval(facts: RemovalFacts): Removal {
  const { state, driver, context, leaving, staying, up, options, skipHooks = false } = facts;
  const hookHost = ({ address, host }: Pick<LeavingHost, 'address' | 'host'>): HookHost => {
    const roles = state.hosts.find((known) => known.address === address)?.roles ?? [];
    return { address, host, roles, master: isMaster({ roles: [...roles] }), env: keptHostEnv(state, driver, address) };
  };
  const [asked] = context.masters;
  return {
    cluster: state.name,
    driver,
    paths: hostPaths(state.dataRoot, state.name),
    registry: state.registry,
    hosts: leaving.filter((one) => isOurs(one, state)).map(hookHost),
    plugins: skipHooks ? [] : [...state.imagePlugins, ...state.plugins],
    asked: up && asked !== undefined ? hookHost({ address: asked.address, host: asked }) : undefined,
    first: firstMaster(state.hosts.filter((host) => host.leaving !== true)),
    context,
    leaving,
    staying,
    registryWay: { ...state.registry, ha: state.registry.ha === true, servers: registryServers(state) },
    up,
    options,
  };
}

/** Of the hosts that left: those on which nothing of the cluster is any more, and those that could not be cleaned. */
export function partition(
  { leaving }: Pick<Removal, 'leaving'>,
  state: ClusterState,
  failed: ReadonlySet<string>,
  reporter: Reporter,
): { readonly clean: readonly string[]; readonly left: readonly string[] } {
  const isLeft = ({ address, traces }: LeavingHost): boolean => traces === undefined || failed.has(address);
  for (const one of leaving) {
    if (!isLeft(one) && !isOurs(one, state)) reporter.info(`${one.address}: nothing of ${state.name} was on it`);
  }
  return {
    clean: leaving.filter((one) => !isLeft(one)).map(({ address }) => address),
    left: leaving.filter(isLeft).map(({ address }) => address),
  };
}

function isOurs({ traces }: LeavingHost, { id }: ClusterState): boolean {
  return traces?.owners.some((owner) => owner.id === id) === true;
}

/** Whether a host said nothing at all. One that refuses the login, or shows another key, is there. */
export function isSilence(error: unknown): boolean {
  return isSlipwayError(error, 'E_HOST_UNREACHABLE') || isSlipwayError(error, 'E_TIMEOUT');
}
