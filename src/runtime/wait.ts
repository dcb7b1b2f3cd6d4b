import { setTimeout as sleep } from 'node:timers/promises';
import { SlipwayError } from '../base/errors.js';

/** How to wait for a condition. */
export interface WaitOptions {
  /** What is waited for, for the error: `the API server of 10.0.0.2`. */
  readonly what: string;
  readonly timeoutMs: number;
  /** Between two questions; default 1 s. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Asked once, when the time is over: why it may have failed. */
  readonly explain?: () => Promise<string>;
  readonly hint?: string;
}

/**
 * Asks until the answer is not undefined, and gives the answer.
 * @throws SlipwayError E_TIMEOUT, E_INTERRUPTED, and whatever `ask` throws.
 */
export async function waitFor<T>(
  ask: () => Promise<T | undefined>,
  { what, timeoutMs, intervalMs = 1000, signal, explain, hint }: WaitOptions,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (signal?.aborted === true) throw new SlipwayError('E_INTERRUPTED', `interrupted while waiting for ${what}`);
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (Date.now() >= end) {
      const why = explain === undefined ? '' : await explain().catch(() => '');
      throw new SlipwayError(
        'E_TIMEOUT',
        `waited ${Math.round(timeoutMs / 1000)} s for ${what}${why === '' ? '' : `\n${why}`}`,
        hint === undefined ? {} : { hint },
      );
    }
    await sleep(intervalMs, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
}
