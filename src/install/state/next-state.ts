import { randomUUID } from 'node:crypto';
import { SlipwayError } from '../../base/errors.js';
import { runtimeName } from '../../image/metadata.js';
import type { InstallImage } from '../files/install-image.js';
import type { HostFinding } from '../plan/preflight.js';
import type { Prepared } from '../prepare.js';
import { type ClusterSpec, type HostSpec, isMaster, mastersOf, registryMasters } from '../spec/cluster-spec.js';
import type { PluginSpec } from '../spec/plugin-spec.js';
import { assertOurs } from './assert-ours.js';
import { type ClusterState, type HostState, servedBy } from './cluster-state.js';
import { keepableDocuments, keepableEnv, keepablePlugins, keptSettings } from './kept-spec.js';
import { keptSsh } from './kept-ssh.js';

/** What a command may do to a cluster that is up, besides adding to it. */
export interface Allowed {
  /** Take hosts out of it. */
  readonly removal: boolean;
  /** Take it to another image, forward or back. */
  readonly change: ClusterState['changing'] | undefined;
}

/** What is wanted of a cluster. */
export type Wanted = Pick<Prepared, 'spec' | 'documents' | 'servesImages'> & {
  readonly imagePlugins?: readonly PluginSpec[];
  readonly image: Pick<InstallImage, 'name' | 'digest' | 'version' | 'upstreams'>;
  readonly driver: Pick<Prepared['driver'], 'name'>;
};

/**
 * The state that a run works towards, from the one before (if there is one). Hosts keep their numbers; those that are no longer wanted
 * stay in it, as leaving, until they are clean.
 * @throws SlipwayError E_CLUSTER_STATE when the specification needs more than is allowed: another image, or hosts fewer, of a cluster
 * that is up.
 */
export function nextState(
  before: ClusterState | undefined,
  { spec, image, driver, documents, servesImages, imagePlugins = [] }: Wanted,
  allowed: Allowed = { removal: false, change: undefined },
): ClusterState {
  if (before !== undefined) assertCompatible(before, { spec, image, driver }, allowed);
  const settings = keptSettings(spec);
  const servers = servesImages ? registryMasters(spec).map(({ address }) => address) : [];
  const mirrors = before?.registry.mirrors;
  const now = new Date().toISOString();
  let free = Math.max(-1, ...(before?.hosts ?? []).map(({ index }) => index)) + 1;
  const wanted = spec.hosts.map((host) => {
    const known = before?.hosts.find(({ address }) => address === host.address);
    return hostState(host, known, known?.index ?? free++);
  });
  const leaving = (before?.hosts ?? [])
    .filter(({ address }) => !spec.hosts.some((host) => host.address === address))
    .map((host) => ({ ...host, leaving: true }));
  return {
    schema: 1,
    id: before?.id ?? randomUUID(),
    ...(before?.revision === undefined ? {} : { revision: before.revision }),
    name: spec.name,
    phase: before?.phase === 'running' ? 'running' : 'installing',
    image: { name: image.name, digest: image.digest },
    ...previousImage(before, image, allowed, now),
    ...scaleUp(before, spec, now),
    runtime: driver.name,
    version: image.version,
    ...settings,
    registry: { ...settings.registry, ...servedBy(servers), ...(mirrors === undefined ? {} : { mirrors }) },
    // No certificate loses a name: those of "slipway cert" stay when a Clusterfile does not have them.
    certSANs: [...new Set([...(before?.certSANs ?? []), ...settings.certSANs])],
    documents: keepableDocuments(documents),
    imagePlugins: keepablePlugins(imagePlugins),
    upstreams: [...image.upstreams],
    applications: applicationsOf(before, servers),
    hosts: [...wanted, ...leaving],
    created: before?.created ?? now,
    updated: now,
  };
}

/**
 * The hosts in the order in which they came to the cluster, new ones behind them: the first master is a matter of the cluster's history, not
 * of the order in which somebody writes them down.
 */
export function inKnownOrder(spec: ClusterSpec, before: ClusterState | undefined): ClusterSpec {
  const present = before?.hosts.filter(({ leaving }) => leaving !== true).map(({ address }) => address) ?? [];
  const place = ({ address }: HostSpec): number => {
    const index = present.indexOf(address);
    return index < 0 ? present.length : index;
  };
  return { ...spec, hosts: [...spec.hosts].sort((a, b) => place(a) - place(b)) };
}

/** Applications stay. Their container images go to whoever serves the registry. */
function applicationsOf(before: ClusterState | undefined, servers: readonly string[]): ClusterState['applications'] {
  return (before?.applications ?? []).map((app) =>
    app.servesImages ? { ...app, hosts: [...new Set([...app.hosts, ...servers])] } : app,
  );
}

/** What the cluster ran before, so that it can go back there. */
function previousImage(
  before: ClusterState | undefined,
  { digest }: Wanted['image'],
  { change }: Allowed,
  now: string,
): Pick<ClusterState, 'previous' | 'changing' | 'changeBegun'> {
  if (before?.phase !== 'running' || before.image.digest === digest) {
    const { previous, changing, changeBegun = now } = before ?? {};
    return {
      ...(previous === undefined ? {} : { previous }),
      ...(changing === undefined ? {} : { changing, changeBegun }),
    };
  }
  // What it was half on its way to is nothing to go back to.
  const previous = (before.changing && before.previous) ?? { ...before.image, version: before.version };
  return { previous, ...(change === undefined ? {} : { changing: change, changeBegun: now }) };
}

/** Hosts that are new to a cluster that is up, or were on their way before and still are. */
function scaleUp(before: ClusterState | undefined, { hosts }: ClusterSpec, now: string): Pick<ClusterState, 'scaleUp'> {
  if (before?.phase !== 'running') return {};
  const present = before.hosts.filter(({ leaving }) => leaving !== true).map(({ address }) => address);
  const addresses = hosts.map(({ address }) => address);
  const onTheirWay = before.scaleUp?.hosts.filter((address) => addresses.includes(address)) ?? [];
  const fresh = addresses.filter((address) => !present.includes(address) && !onTheirWay.includes(address));
  if (onTheirWay.length + fresh.length === 0) return {};
  const begun = fresh.length > 0 ? now : (before.scaleUp?.begun ?? now);
  return { scaleUp: { hosts: [...onTheirWay, ...fresh], begun } };
}

/**
 * What is left of the hosts on their way when a command has ended: those that failed. Of a cluster that was installed, every host that did.
 */
export function stillOnTheirWay(
  state: Pick<ClusterState, 'phase' | 'scaleUp' | 'hosts'>,
  failed: ReadonlySet<string>,
): Pick<ClusterState, 'scaleUp'> {
  const all =
    state.phase === 'running'
      ? (state.scaleUp?.hosts ?? [])
      : state.hosts.filter(({ leaving }) => leaving !== true).map(({ address }) => address);
  const hosts = all.filter((address) => failed.has(address));
  return hosts.length === 0 ? {} : { scaleUp: { hosts, begun: new Date().toISOString() } };
}

/** Adds what was found out about the hosts. */
export function withFacts(state: ClusterState, findings: readonly HostFinding[]): ClusterState {
  const found = new Map(findings.map((finding) => [finding.host.address, finding]));
  return {
    ...state,
    hosts: state.hosts.map((host) => {
      const finding = found.get(host.address);
      if (finding === undefined || !('facts' in finding)) return host;
      return { ...host, hostname: finding.facts.hostname, machineId: finding.facts.machineId };
    }),
  };
}

function assertCompatible(
  before: ClusterState,
  { spec, image, driver }: Pick<Wanted, 'spec' | 'image' | 'driver'>,
  allowed: Allowed,
): void {
  assertOurs(before);
  const fail = (why: string, hint: string): never => {
    throw new SlipwayError('E_CLUSTER_STATE', `cluster ${before.name} ${why}`, { hint });
  };
  const reset = `take it away with "slipway reset --cluster ${before.name}", or give the new one another name with --cluster`;
  if (before.phase === 'resetting') {
    fail('is half taken away', `finish that first: slipway reset --cluster ${before.name}`);
  }
  if (before.runtime !== driver.name) {
    fail(
      `is one of ${runtimeName(before.runtime)}, and ${image.name} installs ${runtimeName(driver.name)}: the one cannot become the other`,
      reset,
    );
  }
  const present = before.hosts.filter(({ leaving }) => leaving !== true);
  const gone = present.filter(({ address }) => !spec.hosts.some((host) => host.address === address));
  const firstBefore = present.find((host) => isMaster(host) && !(allowed.removal && gone.includes(host)))?.address;
  const first = mastersOf(spec)[0]?.address;
  if (firstBefore !== undefined && firstBefore !== first)
    fail(`begins on ${firstBefore}, not on ${first}`, `give ${firstBefore} as a master as well; or ${reset}`);
  for (const host of spec.hosts) {
    const known = present.find(({ address }) => address === host.address);
    if (known !== undefined && isMaster(known) !== isMaster(host)) {
      fail(
        `has ${host.address} as a ${isMaster(known) ? 'master' : 'node'}, not as a ${isMaster(host) ? 'master' : 'node'}`,
        reset,
      );
    }
  }
  if (before.phase !== 'running') return;
  if (before.image.digest !== image.digest && allowed.change === undefined) {
    fail(
      `runs ${before.image.name} (${before.image.digest}), and ${image.name} is another image`,
      `"slipway upgrade ${image.name} --cluster ${before.name}" or "slipway apply" take it there; or ${reset}`,
    );
  }
  if (gone.length > 0 && !allowed.removal) {
    const list = gone.map(({ address }) => address).join(', ');
    fail(
      `has more hosts: ${list}`,
      `give them too, for "run" takes no host out of a cluster ("slipway delete" and "slipway apply" do); or ${reset}`,
    );
  }
}

function hostState(host: HostSpec, known: HostState | undefined, index: number): HostState {
  return {
    address: host.address,
    roles: host.roles,
    hostname: known?.hostname ?? '',
    machineId: known?.machineId ?? '',
    ssh: keptSsh(host.ssh),
    env: keepableEnv(host.env).env,
    ...(host.labels === undefined ? {} : { labels: host.labels }),
    ...(host.taints === undefined ? {} : { taints: host.taints }),
    index,
  };
}
