import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { messageOf, SlipwayError } from '../../base/errors.js';
import type { Reporter } from '../../base/reporter.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import { isMaster } from '../spec/cluster-spec.js';
import { hostPaths, type StatePaths } from './cluster-paths.js';
import { type ClusterState, parseClusterState, writeClusterState } from './cluster-state.js';

/**
 * Writes the state, and keeps a copy on every master, readable by root alone: the machine that has it may be lost, and `gen` finds it there.
 * Without secrets, as the state is. When they have it already they are sent nothing; one that cannot be written is no failure of what was
 * done.
 */
export async function keepOnMasters(
  masters: readonly Host[],
  state: ClusterState,
  paths: StatePaths,
  reporter: Reporter,
): Promise<void> {
  const file = hostPaths(state.dataRoot, state.name).state;
  const read = await tryOnHosts(masters, (master) => readCopy(master, file));
  const answering = masters.filter(({ address }) => read.results.has(address));
  const changed = [...read.results.values()].some(
    (copy) => copy === undefined || !isDeepStrictEqual(lasting(copy), lasting(state)),
  );
  const number = (state.revision?.number ?? 0) + 1;
  const now = changed ? { ...state, revision: { number, id: randomUUID() } } : state;
  // Here first: killed on the way, what is known here is still the newest.
  await writeClusterState(paths, now);
  const text = `${JSON.stringify({ ...now, updated: new Date().toISOString() }, null, 2)}\n`;
  const written = changed
    ? await tryOnHosts(answering, (master) => master.writeFile(file, text, { mode: 0o600 }))
    : { failures: [] };
  for (const { address, error } of [...read.failures, ...written.failures]) {
    reporter.warn(
      `${address} does not keep a copy of the state of ${state.name}: ${messageOf(error).split('\n', 1)[0]}`,
    );
  }
}

/** Why what is known here of a cluster is not the newest, as the masters that answer say; undefined when nothing speaks against it. */
export async function outdatedProblem(
  hosts: readonly Host[],
  state: ClusterState,
): Promise<{ readonly host: undefined; readonly problem: string; readonly hint: string } | undefined> {
  const { name, id } = state;
  const masters = state.hosts.filter((host) => isMaster(host) && host.leaving !== true);
  const addresses = masters.map(({ address }) => address);
  const file = hostPaths(state.dataRoot, name).state;
  const asked = hosts.filter(({ address }) => addresses.includes(address));
  const { results } = await tryOnHosts(asked, (master) => readCopy(master, file));
  const [newer] = [...results].flatMap(([address, copy]) =>
    copy?.id === id && isNewer(copy, state) ? [{ address, updated: copy.updated }] : [],
  );
  if (newer === undefined) return undefined;
  return {
    host: undefined,
    problem: `cluster ${name} was changed from another machine: ${newer.address} keeps a state of it (${newer.updated}) that is not known here`,
    hint: `take it over first: slipway gen --cluster ${name} --masters ${addresses.join(',')} --force`,
  };
}

/** @throws SlipwayError E_CLUSTER_STATE as {@link outdatedProblem} says */
export async function assertNotOutdated(hosts: readonly Host[], state: ClusterState): Promise<void> {
  const outdated = await outdatedProblem(hosts, state);
  if (outdated !== undefined) throw new SlipwayError('E_CLUSTER_STATE', outdated.problem, { hint: outdated.hint });
}

/** Whether a copy was kept by somebody who went on from a later state than this one, or beside it. Pure. */
export function isNewer(
  { revision: copy }: Pick<ClusterState, 'revision'>,
  { revision: own }: Pick<ClusterState, 'revision'>,
): boolean {
  if (copy === undefined) return false;
  return own === undefined || copy.number > own.number || (copy.number === own.number && copy.id !== own.id);
}

async function readCopy(master: Host, file: string): Promise<ClusterState | undefined> {
  const text = (await master.readFile(file))?.toString('utf8');
  const copy = text === undefined ? undefined : parseClusterState(text);
  return typeof copy === 'object' ? copy : undefined;
}

/** What lasts of a state, as it is in JSON: not when and by whom it was written, nor how that one reaches the hosts. */
function lasting({ hosts, ...state }: ClusterState): unknown {
  const reached = hosts.map(({ ssh: _, ...host }) => host);
  return JSON.parse(JSON.stringify({ ...state, hosts: reached, updated: '', revision: undefined }));
}
