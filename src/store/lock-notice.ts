import type { Reporter } from '../base/reporter.js';
import { lockHolders } from './lock-holders.js';

/** Milliseconds that nobody needs to be told of. */
const PATIENCE = 3_000;

/** Says once, after some seconds, that a lock is waited for and who holds it. @returns what ends that. */
export function noteWaiting(file: string, what: string, reporter: Reporter, patience = PATIENCE): () => void {
  let waiting = true;
  const timer = setTimeout(async () => {
    const who = (await lockHolders(file)) ?? 'another process';
    if (waiting) reporter.info(`waiting for ${what}, in use by ${who} (${file})`);
  }, patience).unref();
  return () => {
    waiting = false;
    clearTimeout(timer);
  };
}
