import { randomUUID } from 'node:crypto';
import { SlipwayError } from '../base/errors.js';
import type { Host } from '../hosts/host.js';
import { shellQuote } from '../hosts/shell-script.js';
import { execute, failureError } from './plan/execute.js';
import { makePlan } from './plan/plan.js';
import { inputsDigest, type Phase, type Step, stepId } from './plan/step.js';
import { registryFiles } from './registry/cluster-registry.js';
import { type RegistryCertificates, renewRegistryCertificates } from './registry/registry-certificates.js';
import { authorityFile } from './registry/registry-mirrors.js';
import { withAuthorities } from './registry/registry-trust.js';
import type { SshFlags } from './spec/spec-from-flags.js';
import { assertOurs } from './state/assert-ours.js';
import type { HostPaths } from './state/cluster-paths.js';
import { type ClusterState, registryServers } from './state/cluster-state.js';
import { Journal } from './state/journal.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from './survey.js';
import { withLockedCluster } from './with-locked-cluster.js';
import { programPath } from './work.js';

export interface RotateOptions {
  readonly cluster: string;
  readonly ssh: SshFlags;
  readonly concurrency?: number | undefined;
  /** The command as it was given, for hints. */
  readonly again: string;
}

export interface RotateResult {
  readonly cluster: string;
  /** Hosts that serve the registry with the new certificate. */
  readonly servers: readonly string[];
  /** Hosts that trust the new authority, and no former one. */
  readonly hosts: readonly string[];
  /** Hosts that do not answer, or failed: they cannot pull until "apply" has come to them. */
  readonly left: readonly string[];
  readonly failures: readonly SlipwayError[];
}

interface RotateWork {
  readonly cluster: ClusterState;
  readonly paths: HostPaths;
  readonly certificates: RegistryCertificates;
  readonly hosts: readonly Host[];
  readonly servers: readonly Host[];
}

const TIMEOUT_MS = 5 * 60_000;

/** First all hosts trust both authorities, then the registries get the new certificate one by one, then the former authority goes. */
const ROTATE_PHASES: readonly Phase<RotateWork>[] = [
  {
    name: 'rotate-trust',
    title: 'Let the hosts trust both authorities',
    stopsAtFailure: true,
    steps: (work) => trustSteps(work, 'rotate-trust', (known) => withAuthorities(known, work.certificates.ca) ?? ''),
  },
  {
    name: 'rotate-registry',
    title: 'Give the registry its new certificate',
    serial: true,
    stopsAtFailure: true,
    steps: ({ servers, cluster, paths, certificates }) =>
      servers.map((host) => serveStep(host, cluster, paths, certificates)),
  },
  {
    name: 'rotate-settle',
    title: 'Let the hosts trust the new authority only',
    steps: (work) => trustSteps(work, 'rotate-settle', () => work.certificates.ca),
  },
];

/**
 * Gives the registry of a cluster that is up a new authority and certificate. Pulls go on meanwhile, and pods are not touched. Needs neither
 * the image nor the registry's password.
 * @throws SlipwayError E_NOT_FOUND, E_LOCKED, E_CLUSTER_STATE without a registry of its own with TLS, E_HOST_UNREACHABLE when one of its hosts
 * does not answer, and what steps throw; "apply" and the same command go on from there.
 */
export function rotateRegistry(options: RotateOptions, deps: InstallDeps): Promise<RotateResult> {
  const { cluster: name, ssh, concurrency = DEFAULT_CONCURRENCY, again } = options;
  const { reporter, signal } = deps;
  return withLockedCluster(
    { cluster: name, ssh, concurrency, purpose: 'registry rotate', check: checkRegistry },
    deps,
    async ({ cluster, state, paths, answering, silent, logs, lost }) => {
      const addresses = registryServers(cluster);
      const servers = addresses.flatMap((address) => answering.find((host) => host.address === address) ?? []);
      if (servers.length < addresses.length) {
        const missing = addresses.filter((address) => !servers.some((host) => host.address === address));
        throw new SlipwayError('E_HOST_UNREACHABLE', `${missing.join(', ')}: serves the registry and does not answer`, {
          hint: 'it would go on with the former certificate, which nobody trusted any more: bring it up, or take it out with "slipway delete"',
        });
      }
      const { domain, names = [] } = cluster.registry;
      const certificates = await renewRegistryCertificates(state.pki, name, [domain, ...addresses, ...names]);
      const journal = await Journal.open(state.journal, randomUUID());
      try {
        const outcome = await execute(
          makePlan(ROTATE_PHASES, { cluster, paths, certificates, hosts: answering, servers }),
          { journal, done: new Map(), logs, reporter, concurrency, critical: new Set(), signal, abort: lost, again },
        );
        const failed = outcome.failures.flatMap(({ step }) => step.host ?? []);
        return {
          cluster: name,
          servers: addresses,
          hosts: answering.map(({ address }) => address).filter((address) => !failed.includes(address)),
          left: [...silent, ...failed],
          failures: outcome.failures.map((failure) => failureError(failure, { logs, again })),
        };
      } finally {
        await journal.close();
      }
    },
  );
}

/** @throws SlipwayError E_CLUSTER_STATE */
function checkRegistry(cluster: ClusterState): void {
  assertOurs(cluster);
  const { name, registry, phase } = cluster;
  const fail = (why: string, hint: string): never => {
    throw new SlipwayError('E_CLUSTER_STATE', `cluster ${name} ${why}`, { hint });
  };
  if (phase !== 'running') fail('is not up', 'launch it to its end first, with the command that began it');
  if (registry.external === true) {
    fail(
      'pulls from a registry outside of it',
      'when that has another certificate: "ca" in the Clusterfile, and "slipway apply"',
    );
  }
  if (registry.insecure === true)
    fail('has a registry without TLS', 'take "insecure" out of the Clusterfile, and run "slipway apply"');
  if (registryServers(cluster).length === 0) fail('has no registry', 'its image brings no container images');
}

function trustSteps(
  { cluster, hosts }: RotateWork,
  name: string,
  wanted: (known: string | undefined) => string,
): readonly Step[] {
  const path = authorityFile(cluster.registry);
  const known = async (host: Host): Promise<string | undefined> => (await host.readFile(path))?.toString('utf8');
  return hosts.map((host) => ({
    id: stepId(name, host.address),
    host: host.address,
    title: path,
    why: 'the registry gets a new certificate',
    inputs: inputsDigest(name),
    proof: 'check',
    check: async () => {
      const now = await known(host);
      return { holds: now === wanted(now) };
    },
    run: async () => {
      await host.writeFile(path, wanted(await known(host)), { mode: 0o644 });
      return undefined;
    },
  }));
}

function serveStep(host: Host, cluster: ClusterState, { rootfs }: HostPaths, made: RegistryCertificates): Step {
  const { domain, port } = cluster.registry;
  const { certificate, key } = registryFiles(rootfs, domain);
  const files = [
    { path: certificate, content: made.certificate, mode: 0o644 },
    { path: key, content: made.key, mode: 0o600 },
  ];
  const own = cluster.hosts.find(({ address }) => address === host.address)?.env;
  return {
    id: stepId('rotate-registry', host.address),
    host: host.address,
    title: 'init-registry.sh',
    why: 'it serves with the new certificate',
    inputs: inputsDigest('rotate-registry'),
    proof: 'check',
    run: async ({ signal }) => {
      for (const { path, content, mode } of files) await host.writeFile(path, content, { mode });
      await host.run(
        `${programPath(rootfs)}exec bash init-registry.sh ${port} ${shellQuote(`${rootfs}/registry`)} ${shellQuote(domain)}`,
        {
          title: 'init-registry.sh',
          cwd: `${rootfs}/scripts`,
          env: { ...cluster.env, ...own, HostIP: host.address },
          timeoutMs: TIMEOUT_MS,
          signal,
        },
      );
      return undefined;
    },
  };
}
