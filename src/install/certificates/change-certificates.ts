import { randomUUID } from 'node:crypto';
import { isSlipwayError, messageOf, SlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { HostCertificate, RuntimeDriver } from '../../runtime/driver.js';
import { withLock } from '../../store/locks.js';
import { driverOf } from '../cluster-hosts/ask-cluster.js';
import { type HostSet, openHosts, sshConnect } from '../cluster-hosts/connect-hosts.js';
import { readOwner } from '../cluster-hosts/host-owner.js';
import { lockCluster } from '../cluster-hosts/lock-hosts.js';
import {
  altNamesPhase,
  type CertificatePlan,
  renewPhase,
  reviveMastersPhase,
  reviveWorkersPhase,
} from '../phases/certificates.js';
import { type KubeconfigWork, kubeconfigPhase } from '../phases/kubeconfig.js';
import { execute, failureError } from '../plan/execute.js';
import { formatPlan, inspectPlan, makePlan, type Plan, type PlanDocument } from '../plan/plan.js';
import { type PreflightProblem, preflightError } from '../plan/preflight.js';
import type { Phase } from '../plan/step.js';
import { contextOfState } from '../removal.js';
import { isMaster } from '../spec/cluster-spec.js';
import type { SshFlags } from '../spec/spec-from-flags.js';
import { hostPaths, type StatePaths, statePaths } from '../state/cluster-paths.js';
import { type ClusterState, readClusterState, writeClusterState } from '../state/cluster-state.js';
import { Journal, lastEvents, readJournal } from '../state/journal.js';
import { keepOnMasters, outdatedProblem } from '../state/kept-on-masters.js';
import { hostFromState } from '../state/spec-from-state.js';
import { DEFAULT_CONCURRENCY, type InstallDeps } from '../survey.js';
import { findAnswering } from './find-answering.js';
import { certificateWork } from './list-certificates.js';
import { renewalOf } from './renewal.js';

/** What is to be done with the certificates of a cluster. */
export type CertificateChange = { readonly addNames: readonly string[] } | { readonly renew: true };

export interface CertificateOptions {
  readonly cluster: string;
  readonly change: CertificateChange;
  readonly ssh: SshFlags;
  readonly concurrency?: number;
  readonly again?: string;
}

/** What was done. */
export interface CertificateResult {
  readonly cluster: string;
  /** Masters that were worked on. */
  readonly masters: readonly string[];
  /** Hosts that do not answer, and were left. */
  readonly left: readonly string[];
  /** Of workers whose kubelets could not be helped. */
  readonly failures: readonly SlipwayError[];
  readonly ran: number;
  readonly skipped: number;
  /** Names that are kept for masters to come, with those that were added. */
  readonly names: readonly string[];
  readonly kubeconfig: string;
}

/**
 * Adds names to the certificates of a cluster's API servers, or renews all certificates of its masters, one master after the other, each only
 * when the one before is well. Needs no image. A renewal works also when certificates have ended and no API server answers.
 * @throws SlipwayError E_NOT_FOUND, E_LOCKED, E_PREFLIGHT with all problems before anything is changed, and what steps throw.
 */
export async function changeCertificates(options: CertificateOptions, deps: InstallDeps): Promise<CertificateResult> {
  const paths = statePaths(deps.store.root, options.cluster);
  return withLock(
    paths.lock,
    'exclusive',
    `cluster ${options.cluster}`,
    () => withCertificateSurvey(paths, options, deps, (survey) => change(survey, paths, options, deps)),
    { waitSeconds: 0 },
  );
}

/** What {@link changeCertificates} would do. Changes nothing. */
export async function planCertificates(
  options: CertificateOptions,
  deps: InstallDeps,
): Promise<{ readonly document: PlanDocument; readonly text: string }> {
  const paths = statePaths(deps.store.root, options.cluster);
  return withCertificateSurvey(paths, options, deps, async ({ plan, state, problems, warnings, silent, done }) => {
    const document: PlanDocument = {
      schema: 1,
      cluster: state.name,
      image: state.image.name,
      imageDigest: state.image.digest,
      version: state.version,
      problems: problems.map(({ host, problem, hint }) => ({ host: host ?? null, problem, hint })),
      warnings,
      notes: [],
      steps: await inspectPlan(plan, done, {
        concurrency: options.concurrency ?? DEFAULT_CONCURRENCY,
        signal: deps.signal,
        silent,
      }),
    };
    return { document, text: formatPlan(document, new Map(plan.map(({ name, title }) => [name, title]))) };
  });
}

interface CertificateSurvey {
  readonly state: ClusterState;
  readonly hosts: HostSet;
  readonly plan: Plan;
  readonly masters: readonly Host[];
  readonly workers: readonly Host[];
  readonly silent: ReadonlySet<string>;
  readonly problems: readonly PreflightProblem[];
  readonly warnings: readonly string[];
  readonly done: ReturnType<typeof lastEvents>;
}

type Work = CertificatePlan & KubeconfigWork;

const NAME_PHASES: readonly Phase<Work>[] = [altNamesPhase];
/** The kubeconfig that this machine has would end with the old certificates. */
const RENEW_PHASES: readonly Phase<Work>[] = [reviveMastersPhase, renewPhase, kubeconfigPhase, reviveWorkersPhase];

async function withCertificateSurvey<T>(
  paths: StatePaths,
  { cluster, change, ssh, concurrency = DEFAULT_CONCURRENCY }: CertificateOptions,
  { reporter, signal, connect = sshConnect() }: InstallDeps,
  use: (survey: CertificateSurvey) => Promise<T>,
): Promise<T> {
  const state = await readClusterState(paths);
  if (state === undefined) throw new SlipwayError('E_NOT_FOUND', `there is no cluster ${cluster}`);
  const work = await certificateWork(state);
  const known = state.hosts.filter((host) => host.leaving !== true && ('renew' in change || isMaster(host)));
  const isMasterAt = (address: string): boolean => known.some((host) => host.address === address && isMaster(host));
  const hosts = await openHosts(
    known.map((host) => hostFromState(host, ssh)),
    paths.logs,
    connect,
  );
  try {
    const found = hostPaths(state.dataRoot, state.name);
    const { results, failures } = await tryOnHosts(
      [...hosts.hosts.values()],
      async (host) => ({ owner: await readOwner(host, found, signal), certificates: await work.list(host) }),
      { concurrency, signal },
    );
    signal.throwIfAborted();
    const all = [...hosts.hosts.values()].filter(({ address }) => results.has(address));
    const answering = all.filter(({ address }) => isMasterAt(address));
    const workers = all.filter((host) => !answering.includes(host));
    const driver = await driverOf(state);
    const done = lastEvents(await readJournal(paths.journal));
    const addresses = answering.map(({ address }) => address);
    const names = 'addNames' in change ? change.addNames : [];
    const ended = [...results.values()].some(({ certificates }) =>
      certificates.some((one) => one.renewed === 'command' && hasEnded(one)),
    );
    const liveMaster = () => (state.foreign ? answeringMaster : driver.liveMaster)(answering, found.rootfs, driver);
    // With certificates that have ended none comes up, and a renewal needs none.
    const { live, starts } =
      names.length > 0 && !ended
        ? await findAnswering({ masters: answering, driver, liveMaster, done, signal })
        : { live: await liveMaster(), starts: false };
    const entry = live ?? answering[0];
    const strangers = all.filter(({ address }) => {
      const owner = results.get(address)?.owner;
      return owner === undefined ? state.foreign !== true : owner.id !== state.id;
    });
    const outdated = state.foreign === true ? undefined : await outdatedProblem(answering, state);
    const problems = [
      ...(outdated === undefined ? [] : [outdated]),
      ...silenceProblems(
        failures.filter(({ address }) => isMasterAt(address)),
        state,
        'renew' in change && ended,
      ),
      ...strangers.map(({ address }) => ({
        host: address,
        problem: `it does not say that it is of cluster ${state.name}`,
        hint: `"slipway check --cluster ${state.name}" says more`,
      })),
      ...(live === undefined && !starts && names.length > 0 ? [refusingProblem(state, ended)] : []),
      ...(entry === undefined ? [] : caProblems(results.get(entry.address)?.certificates ?? [], entry)),
    ];
    const plan =
      entry === undefined
        ? []
        : makePlan('renew' in change ? RENEW_PHASES : NAME_PHASES, {
            work,
            driver,
            cluster: contextOfState(state, [entry, ...answering.filter((one) => one !== entry)], workers),
            masters: answering,
            workers,
            names,
            renewal: 'renew' in change ? renewalOf(done, addresses, Date.now()) : undefined,
            entry: { address: entry.address, host: entry },
            state: paths,
          });
    return await use({
      state,
      hosts,
      plan,
      masters: answering,
      workers,
      silent: new Set(failures.map(({ address }) => address)),
      problems,
      warnings: failures.map(({ address, error }) => `${address} does not answer: ${firstLine(error)}`),
      done,
    });
  } finally {
    for (const problem of await hosts.close()) reporter.warn(`the log is not complete: ${problem}`);
  }
}

/** A master of a cluster that somebody else made has no mark of ours: the first that gives an answer. */
async function answeringMaster(
  masters: readonly Host[],
  rootfs: string,
  driver: RuntimeDriver,
): Promise<Host | undefined> {
  for (const master of masters) {
    const nodes = await driver.nodes(master, { rootfs }).catch(() => []);
    if (nodes.length > 0) return master;
  }
  return undefined;
}

/**
 * A master that is away comes back with old certificates, and while it is away restarting others may cost etcd its quorum: nothing is begun.
 * But when certificates have ended there is nothing to lose any more, and no other way to take the dead one out.
 */
function silenceProblems(
  failures: readonly { readonly address: string; readonly error: unknown }[],
  { name, hosts }: ClusterState,
  withoutThem: boolean,
): PreflightProblem[] {
  const all = failures.length === hosts.filter((host) => isMaster(host) && host.leaving !== true).length;
  if (withoutThem && !all) return [];
  return failures.map(({ address, error }) => ({
    host: address,
    problem: firstLine(error),
    hint: `${(isSlipwayError(error) ? error.hint : undefined) ?? 'bring it up first'}; one that is gone for good: slipway delete --cluster ${name} --masters ${address}`,
  }));
}

function refusingProblem({ name }: ClusterState, ended: boolean): PreflightProblem {
  return {
    host: undefined,
    problem: ended ? 'certificates have ended, and no API server answers' : 'no API server answers',
    hint: ended
      ? `renew them first: slipway cert --renew --cluster ${name}`
      : `bring one up first; "slipway check --cluster ${name}" shows what is wrong`,
  };
}

/** Without the CA nothing can be made; with one that has ended nobody would believe it. */
function caProblems(certificates: readonly HostCertificate[], { address }: Host): PreflightProblem[] {
  return certificates
    .filter((one) => one.renewed === 'never' && hasEnded(one))
    .map(({ name, file }) => ({
      host: address,
      problem: `the CA ${name} (${file}) has ended`,
      hint: 'a CA is replaced by hand, with everything that it has signed: see "Manual Rotation of CA Certificates" in the manual of Kubernetes',
    }));
}

function hasEnded({ expires }: HostCertificate): boolean {
  return expires === undefined || Date.parse(expires) <= Date.now();
}

async function change(
  { state, hosts, plan, masters, workers, silent, problems, warnings, done }: CertificateSurvey,
  paths: StatePaths,
  { change: wanted, concurrency = DEFAULT_CONCURRENCY, again = 'the same command' }: CertificateOptions,
  { reporter, signal }: InstallDeps,
): Promise<CertificateResult> {
  if (problems.length > 0) throw preflightError(problems);
  for (const warning of warnings) reporter.warn(warning);
  const names = 'addNames' in wanted ? [...new Set([...state.certSANs, ...wanted.addNames])] : state.certSANs;
  const locks = await lockCluster(
    [...masters, ...workers].flatMap(({ address }) => hosts.quiet.get(address) ?? []),
    state,
    'cert',
  );
  const journal = await Journal.open(paths.journal, randomUUID());
  try {
    // Before the hosts: whoever joins a master after a failure asks for them too.
    const now = { ...state, certSANs: [...names] };
    if (names.length !== state.certSANs.length) await writeClusterState(paths, now);
    const { ran, skipped, failures } = await execute(plan, {
      journal,
      done,
      logs: hosts.logs,
      reporter,
      concurrency,
      critical: new Set(masters.map(({ address }) => address)),
      signal,
      abort: locks.lost,
      again,
    });
    if (state.foreign !== true) await keepOnMasters(masters, now, paths, reporter);
    const { name: cluster } = state;
    return {
      cluster,
      masters: masters.map(({ address }) => address),
      left: [...silent],
      failures: failures.map((failure) => failureError(failure, { logs: hosts.logs, again })),
      ran,
      skipped,
      names,
      kubeconfig: paths.kubeconfig,
    };
  } finally {
    await journal.close();
    await locks.release();
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n', 1)[0] ?? '';
}
