import { randomUUID } from 'node:crypto';
import { type Digest, isDigest } from '../../image/digest.js';
import { inputsDigest } from '../plan/step.js';
import type { JournalEntry } from '../state/journal.js';

/** A renewal that was stopped longer ago is begun anew: what it renewed may be wanted newer. */
const GOES_ON_MS = 24 * 60 * 60 * 1000;

/**
 * Which renewal this is: the one before, when it was stopped on its way and not long ago, so that the masters which it has done are not
 * restarted again; else a new one. Pure but for the new one's name.
 * @param events the newest word of the journal on each step.
 * @param masters addresses of all that it must do.
 */
export function renewalOf(
  events: ReadonlyMap<string, JournalEntry>,
  masters: readonly string[],
  nowMs: number,
): Digest {
  const before = masters
    .flatMap((address) => events.get(`renew@${address}`) ?? [])
    .sort((a, b) => (a.time < b.time ? 1 : -1));
  const [newest] = before;
  const fresh = newest !== undefined && nowMs - Date.parse(newest.time) < GOES_ON_MS;
  if (fresh && isDigest(newest.inputs)) {
    const done = before.filter(({ event, inputs }) => event === 'done' && inputs === newest.inputs);
    if (done.length < masters.length) return newest.inputs;
  }
  return inputsDigest('renewal', randomUUID());
}
