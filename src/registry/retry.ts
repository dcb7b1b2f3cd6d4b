import { setTimeout as sleep } from 'node:timers/promises';

/** How often one request is sent at most. */
export const TRIES = 5;
/** The longest wait a registry may ask for, in milliseconds; one that asks for more is not waited for. */
export const LONGEST_WAIT = 120_000;
const DEFAULT_DELAY = 500;

/** Statuses that say "not now" rather than "no". */
export function isPassingStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505 && status !== 507);
}

/**
 * Milliseconds that a Retry-After header asks to wait: seconds or an HTTP date (RFC 9110, 10.2.3). Undefined when there is none or it
 * makes no sense.
 */
export function parseRetryAfter(header: string | undefined, now: number = Date.now()): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8}, /.test(text)) return undefined; // Date.parse takes nearly anything for a date
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * Milliseconds to wait before repetition number `round` (0 is the first): twice as long each time, half of it by chance, so that
 * many clients that failed together do not come back together.
 */
export function backoff(round: number, base: number = DEFAULT_DELAY, chance: number = Math.random()): number {
  return base * 2 ** round * (0.5 + chance / 2);
}

/** Waits; ends early with the signal's reason. */
export async function wait(milliseconds: number, signal?: AbortSignal): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
