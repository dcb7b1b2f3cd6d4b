import { randomUUID } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';
import { type ClusterSpec, type HostSpec, isMaster, mastersOf } from './cluster-spec.js';
import { type ClusterState, type HostState, keepableEnv } from './cluster-state.js';
import type { InstallImage } from './install-image.js';
import type { HostFinding } from './preflight.js';

/**
 * The state that a run works towards, from the one before (if there is one). Hosts keep their numbers; hosts of an earlier attempt that
 * are no longer wanted stay in it, so that `reset` cleans them.
 * @throws SlipwayError E_CLUSTER_STATE when the specification needs more than `run` does: another image, or hosts fewer, of a cluster
 * that is up.
 */
export function nextState(
  before: ClusterState | undefined,
  spec: ClusterSpec,
  image: InstallImage,
  runtime: string,
): ClusterState {
  if (before !== undefined) assertCompatible(before, spec, image);
  const now = new Date().toISOString();
  let free = Math.max(-1, ...(before?.hosts ?? []).map(({ index }) => index)) + 1;
  const wanted = spec.hosts.map((host) => {
    const known = before?.hosts.find(({ address }) => address === host.address);
    return hostState(host, known, known?.index ?? free++);
  });
  const left = (before?.hosts ?? []).filter(({ address }) => !spec.hosts.some((host) => host.address === address));
  const { username } = spec.registry;
  return {
    schema: 1,
    id: before?.id ?? randomUUID(),
    name: spec.name,
    phase: before?.phase === 'running' ? 'running' : 'installing',
    image: { name: image.name, digest: image.digest },
    runtime,
    version: image.version,
    dataRoot: spec.dataRoot,
    registry: {
      domain: spec.registry.domain,
      port: spec.registry.port,
      ...(username === undefined ? {} : { username }),
    },
    ...keepableEnv(spec.env),
    ...(spec.cmds === undefined ? {} : { cmds: spec.cmds }),
    ...(spec.apps === undefined ? {} : { apps: spec.apps }),
    certSANs: spec.certSANs,
    hosts: [...wanted, ...left],
    created: before?.created ?? now,
    updated: now,
  };
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

function assertCompatible(before: ClusterState, spec: ClusterSpec, image: InstallImage): void {
  const fail = (why: string, hint: string): never => {
    throw new SlipwayError('E_CLUSTER_STATE', `cluster ${before.name} ${why}`, { hint });
  };
  const reset = `take it away with "slipway reset --cluster ${before.name}", or give the new one another name with --cluster`;
  if (before.phase === 'resetting') {
    fail('is half taken away', `finish that first: slipway reset --cluster ${before.name}`);
  }
  const firstBefore = before.hosts.find(isMaster)?.address;
  const first = mastersOf(spec)[0]?.address;
  if (firstBefore !== first)
    fail(`begins on ${firstBefore}, not on ${first}`, `name the masters in the same order; or ${reset}`);
  for (const host of spec.hosts) {
    const known = before.hosts.find(({ address }) => address === host.address);
    if (known !== undefined && isMaster(known) !== isMaster(host)) {
      fail(
        `has ${host.address} as a ${isMaster(known) ? 'master' : 'node'}, not as a ${isMaster(host) ? 'master' : 'node'}`,
        reset,
      );
    }
  }
  if (before.phase !== 'running') return;
  if (before.image.digest !== image.digest) {
    fail(`runs ${before.image.name} (${before.image.digest}), which is another image`, reset);
  }
  const missing = before.hosts.filter(({ address }) => !spec.hosts.some((host) => host.address === address));
  if (missing.length > 0) {
    const list = missing.map(({ address }) => address).join(', ');
    fail(`has more hosts: ${list}`, `give them too: "run" takes no host out of a cluster; or ${reset}`);
  }
}

function hostState(host: HostSpec, known: HostState | undefined, index: number): HostState {
  const { user, port, privateKey } = host.ssh;
  return {
    address: host.address,
    roles: host.roles,
    hostname: known?.hostname ?? '',
    machineId: known?.machineId ?? '',
    ssh: { user, port, ...(privateKey === undefined ? {} : { privateKey }) },
    env: keepableEnv(host.env).env,
    index,
  };
}
