import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { mapLimit } from '../../base/concurrency.js';
import { type ErrorCode, SlipwayError } from '../../base/errors.js';
import { type CheckTask, type CheckVerdict, runCheck } from './check-blob.js';

/** What a thread says. */
export type FromChecker =
  | { readonly read: number }
  | { readonly verdict: CheckVerdict }
  /** An error loses its class on the way. */
  | { readonly failed: string; readonly code?: ErrorCode; readonly hint?: string };

const PROGRAM = new URL('./check-worker.js', import.meta.url);
/** Hashing is bound by the processor, and beyond a few threads by the disk. */
const MOST_THREADS = 4;

export interface PoolOptions {
  /** Called with bytes read since the last call. */
  readonly progress: (bytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs checks on all processors, a thread each (in this one where there is only one, or the program is not compiled).
 * @returns the verdicts in the order of the tasks.
 */
export async function runChecks(
  tasks: readonly CheckTask[],
  { progress, signal }: PoolOptions,
): Promise<readonly CheckVerdict[]> {
  const threads = Math.min(MOST_THREADS, availableParallelism(), tasks.length);
  if (threads <= 1 || !existsSync(fileURLToPath(PROGRAM))) {
    return mapLimit(tasks, 1, (task) => {
      signal?.throwIfAborted();
      return runCheck(task, progress);
    });
  }
  const idle = Array.from({ length: threads }, () => new Worker(PROGRAM));
  const workers = [...idle];
  try {
    return await mapLimit(tasks, threads, async (task) => {
      signal?.throwIfAborted();
      const worker = idle.pop();
      if (worker === undefined) throw new SlipwayError('E_INTERNAL', 'more checks than threads');
      const verdict = await ask(worker, task, progress, signal);
      idle.push(worker);
      return verdict;
    });
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function ask(
  worker: Worker,
  task: CheckTask,
  progress: (bytes: number) => void,
  signal: AbortSignal | undefined,
): Promise<CheckVerdict> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    const onMessage = (message: FromChecker): void => {
      if ('read' in message) progress(message.read);
      else if ('verdict' in message) end(() => resolve(message.verdict));
      else end(() => reject(failure(message)));
    };
    const onError = (error: unknown): void => end(() => reject(error));
    const onExit = (): void => end(() => reject(new SlipwayError('E_INTERNAL', 'a checking thread ended early')));
    const onAbort = (): void => end(() => reject(signal?.reason));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal?.addEventListener('abort', onAbort, { once: true });
    worker.postMessage(task);
  });
}

function failure({ failed, code, hint }: Extract<FromChecker, { readonly failed: string }>): SlipwayError {
  if (code === undefined) return new SlipwayError('E_INTERNAL', `checking failed: ${failed}`);
  return new SlipwayError(code, failed, hint === undefined ? {} : { hint });
}
