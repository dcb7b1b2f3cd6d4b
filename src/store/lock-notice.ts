import { processName } from '../base/process-name.js';
import { processesUsing } from '../base/processes-using.js';
import type { Reporter } from '../base/reporter.js';

/** Milliseconds that nobody needs to be told of. */
const PATIENCE = 3_000;
/** Processes that are named. */
const MOST = 3;

/** Says once, after some seconds, that a lock is waited for and who may hold it. @returns what ends that. */
export function noteWaiting(file: string, what: string, reporter: Reporter, patience = PATIENCE): () => void {
  let waiting = true;
  const timer = setTimeout(async () => {
    const names = await holders(file).catch(() => []);
    const who = names.length === 0 ? 'another process' : names.join(', ');
    if (waiting) reporter.info(`waiting for ${what}, in use by ${who} (${file})`);
  }, patience).unref();
  return () => {
    waiting = false;
    clearTimeout(timer);
  };
}

/** Who has the file open; those who wait like this process among them. */
async function holders(file: string): Promise<readonly string[]> {
  const names: string[] = [];
  for (const { pid, name } of await processesUsing(file, 20)) {
    if (pid === process.pid || name === 'flock') continue;
    if (names.length < MOST) names.push(`${await processName(pid)} (process ${pid})`);
  }
  return names;
}
