import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { errnoOf, fileSystemError, SlipwayError } from '../base/errors.js';
import type { Reporter } from '../base/reporter.js';
import { lockHolders } from './lock-holders.js';
import { noteWaiting } from './lock-notice.js';

export type LockMode = 'shared' | 'exclusive';

/** A held lock. Released by `release`, and by the kernel when this process ends in whatever way. */
export interface FileLock {
  /** A program that is given it holds the lock too, until it ends. */
  readonly descriptor: number;
  /** False when the file that was locked has been removed or replaced: the lock means nothing to whoever comes now. */
  isCurrent(): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long to wait for other holders, in seconds; 0 does not wait. Default: for ever. */
  readonly waitSeconds?: number;
  /** Ends the waiting; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
  /** Is told when the waiting takes long. */
  readonly reporter?: Reporter | undefined;
  /** Names the thing that is locked, for the reporter; default the file. */
  readonly what?: string | undefined;
}

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** A link in the place of the file is not followed, and a FIFO is not waited for. */
const SAFE = O_NOFOLLOW | O_NONBLOCK;

/** Ctrl-C reaches all programs of a terminal, flock too. */
const ENDED_BY_PERSON: readonly (number | NodeJS.Signals)[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** util-linux flock's exit code when the lock is held by somebody else. */
const CONFLICT = 75;

/**
 * Takes an advisory lock on a file, which is made when missing and never removed.
 *
 * Node has no flock(2). A lock belongs to the open file description, so the `flock` program, given our descriptor as its
 * number 3, locks it for us and exits; what remains is a lock that dies with this process, kill -9 included, and that works between
 * containers sharing a directory, where process ids mean nothing.
 *
 * @returns undefined when the lock is held by others and `waitSeconds` have passed.
 * @throws SlipwayError E_MISSING_PROGRAM when there is no `flock`.
 */
export async function tryLock(file: string, mode: LockMode, options: LockOptions = {}): Promise<FileLock | undefined> {
  const handle = await openToLock(file, mode);
  try {
    const { waitSeconds } = options;
    const taken =
      (await attempt(file, handle, mode, ['-n'])) ||
      (waitSeconds !== 0 && (await waited(file, handle, mode, waitSeconds, options)));
    if (!taken) {
      await handle.close();
      return undefined;
    }
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
  return {
    descriptor: handle.fd,
    release: () => handle.close(),
    async isCurrent() {
      const [own, named] = await Promise.all([handle.stat(), stat(file).catch(() => undefined)]);
      return named !== undefined && own.ino === named.ino && own.dev === named.dev;
    },
  };
}

async function waited(
  file: string,
  handle: FileHandle,
  mode: LockMode,
  seconds: number | undefined,
  { signal, reporter, what = file }: LockOptions,
): Promise<boolean> {
  const quiet = reporter === undefined ? () => {} : noteWaiting(file, what, reporter);
  try {
    return await attempt(file, handle, mode, seconds === undefined ? [] : ['-w', String(seconds)], signal);
  } finally {
    quiet();
  }
}

/** @returns false when others hold it. */
async function attempt(
  file: string,
  handle: FileHandle,
  mode: LockMode,
  wait: readonly string[],
  signal?: AbortSignal,
): Promise<boolean> {
  const code = await flock(['-E', String(CONFLICT), mode === 'shared' ? '-s' : '-x', ...wait, '3'], handle, signal);
  if (code === 0 || code === CONFLICT) return code === 0;
  if (ENDED_BY_PERSON.includes(code)) throw new SlipwayError('E_INTERRUPTED', 'interrupted');
  throw new SlipwayError('E_STORE', `cannot lock ${file}: flock ended with ${code}`);
}

/** {@link tryLock}, or SlipwayError E_LOCKED, with who they are, when others hold it too long. `what` names the thing in the error. */
export async function lock(file: string, mode: LockMode, what: string, options: LockOptions = {}): Promise<FileLock> {
  const held = await tryLock(file, mode, { what, ...options });
  if (held === undefined) {
    throw new SlipwayError('E_LOCKED', `${what} is in use by ${(await lockHolders(file)) ?? 'another process'}`, {
      hint: 'wait until it has finished, then try again',
    });
  }
  return held;
}

/** Runs `work` while a lock is held. */
export async function withLock<T>(
  file: string,
  mode: LockMode,
  what: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const held = await lock(file, mode, what, options);
  try {
    return await work();
  } finally {
    await held.release();
  }
}

/** A shared lock needs no right to write: a store on read-only media, or of another user, can be read. */
async function openToLock(file: string, mode: LockMode): Promise<FileHandle> {
  try {
    return await open(file, O_APPEND | O_CREAT | O_WRONLY | SAFE, 0o644);
  } catch (error) {
    if (mode === 'shared' && ['EROFS', 'EACCES'].includes(errnoOf(error) ?? '')) return open(file, O_RDONLY | SAFE);
    throw fileSystemError(error, `locking ${file}`);
  }
}

/** @returns the exit code, or the signal that ended it. */
function flock(
  args: readonly string[],
  handle: FileHandle,
  signal: AbortSignal | undefined,
): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'ignore', handle.fd] });
    child.on('error', (cause) => {
      reject(
        errnoOf(cause) === 'ENOENT'
          ? new SlipwayError('E_MISSING_PROGRAM', 'the program flock is not on PATH', {
              hint: 'install util-linux',
              cause,
            })
          : cause,
      );
    });
    const stop = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    child.on('exit', (code, killer) => {
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted === true) reject(signal.reason);
      else resolve(code ?? killer ?? 1);
    });
  });
}
