import { isSlipwayError } from '../../base/errors.js';
import type { Host } from '../../hosts/host.js';
import { tryOnHosts } from '../../hosts/host-group.js';
import type { RuntimeDriver } from '../../runtime/driver.js';
import { waitFor } from '../../runtime/wait.js';
import { stepId } from '../plan/step.js';
import type { lastEvents } from '../state/journal.js';

/** What a command that was killed has restarted comes up within this, or will not. */
const COMING_TIMEOUT_MS = 120_000;

/** Whether names can be added to the certificates of a cluster. */
export interface Answering {
  /** A master whose API server answers. */
  readonly live: Host | undefined;
  /** None answers, and one is only stopped: what adds the names starts it. */
  readonly starts: boolean;
}

export interface AnsweringQuestion {
  readonly masters: readonly Host[];
  readonly driver: Pick<RuntimeDriver, 'wholeMasters' | 'stopped'>;
  readonly liveMaster: () => Promise<Host | undefined>;
  /** What the journal says of each step. */
  readonly done: ReturnType<typeof lastEvents>;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
}

/**
 * Finds a master that answers. Adding names restarts API servers, and one that was killed at it has left the only one stopped, or on its
 * way up: the same command goes on, in place of calling the cluster dead.
 */
export async function findAnswering(question: AnsweringQuestion): Promise<Answering> {
  const { masters, driver, liveMaster, done, signal, timeoutMs = COMING_TIMEOUT_MS } = question;
  const live = await liveMaster();
  if (live !== undefined) return { live, starts: false };
  if (await oneIsStopped(masters, driver)) return { live: undefined, starts: true };
  const killed = masters.some(({ address }) => done.get(stepId('alt-names', address))?.event === 'started');
  return { live: killed ? await untilLive(liveMaster, timeoutMs, signal) : undefined, starts: false };
}

/** One: where more are stopped, somebody has stopped them, and to start the first alone may not give etcd its quorum. */
async function oneIsStopped(masters: readonly Host[], driver: AnsweringQuestion['driver']): Promise<boolean> {
  const { stopped } = driver;
  if (stopped === undefined) return false;
  const { results } = await tryOnHosts(await driver.wholeMasters(masters), (master) => stopped(master));
  return [...results.values()].filter(Boolean).length === 1;
}

async function untilLive(
  liveMaster: () => Promise<Host | undefined>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Host | undefined> {
  try {
    return await waitFor(liveMaster, { what: 'an API server', timeoutMs, intervalMs: 2000, signal });
  } catch (error) {
    if (isSlipwayError(error, 'E_TIMEOUT')) return undefined;
    throw error;
  }
}
