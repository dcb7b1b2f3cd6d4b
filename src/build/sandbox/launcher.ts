import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants, release } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { errorSaid } from '../../base/errno-said.js';
import { SlipwayError } from '../../base/errors.js';
import { possibleOwners } from '../../base/id-map.js';
import { NAMESPACE_OUTER_SCRIPT, OUTER_SCRIPT, ROOTLESS_OUTER_SCRIPT } from './launch-script.js';
import { type MemoryFile, memoryFileArguments } from './memory-files.js';
import { processLimit } from './process-limit.js';
import { programPath, requireProgram } from './programs.js';
import type { OutputStream } from './sandbox-request.js';

const ERROR_TAIL = 4096;
const O_CLOEXEC = 0o2000000;

export interface Launch {
  /** Closed to others; holds the files that the script expects: `private/`, `stdin` and those of the engine. */
  readonly runDirectory: string;
  /** {@link BWRAP_SCRIPT} or {@link RUNC_SCRIPT}. */
  readonly script: string;
  /** What the sandbox finds in memory; nothing of it touches a disk. */
  readonly files: readonly MemoryFile[];
  /** The engine and its arguments. */
  readonly command: readonly string[];
  readonly onOutput: (chunk: Buffer, stream: OutputStream) => void;
  /** Milliseconds from now, when everything is killed. */
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface Ending {
  /** Exit code of the outermost process: the engine's. */
  readonly code: number;
  readonly signal?: NodeJS.Signals;
  /** Why we killed it, if we did. */
  readonly stopped?: 'timeout' | 'abort';
  /** The last bytes of standard error, after what unshare had to say. */
  readonly errorTail: string;
}

/**
 * Starts a sandbox engine and waits until everything it started has ended. On timeout or abort the whole tree is killed
 * first. What `onOutput` throws is thrown on, after the tree is dead.
 * @throws SlipwayError E_MISSING_PROGRAM
 */
export async function launch(request: Launch): Promise<Ending> {
  const { runDirectory, signal } = request;
  const setpriv = requireProgram('setpriv', 'RUN');
  requireProgram('unshare', 'RUN');
  requireProgram('mount', 'RUN');
  const pipes = await makePipes(runDirectory);
  if (signal?.aborted === true) {
    pipes.closeAll();
    return { code: 130, stopped: 'abort', errorTail: '' };
  }
  const outer = outerScript();
  const shield = openSync(join(runDirectory, 'stdin'), constants.O_RDONLY);
  let child: ChildProcess;
  try {
    child = spawn(
      setpriv,
      ['--pdeathsig', 'KILL', '--', '/bin/sh', '-c', outer, 'sandbox', String(process.pid)].concat(
        [request.script, runDirectory, String(processLimit(release()))],
        memoryFileArguments(request.files),
        '--',
        request.command,
      ),
      // A session of its own: an interrupt typed at the terminal is for slipway, which then ends the sandbox.
      { detached: true, cwd: '/', env: { PATH: programPath() }, stdio: descriptors(pipes.write, shield) },
    );
  } catch (error) {
    pipes.closeAll();
    throw error;
  } finally {
    closeSync(shield);
    pipes.closeWriters();
  }
  sendFiles(child, request.files);
  return await follow(child, pipes.read, request);
}

function outerScript(): string {
  if (process.getuid?.() !== 0) return ROOTLESS_OUTER_SCRIPT;
  return possibleOwners() === 'all' ? OUTER_SCRIPT : NAMESPACE_OUTER_SCRIPT;
}

/** Writes the contents to descriptor 3 of the child. One that ends before it has read them says elsewhere why. */
function sendFiles({ stdio }: ChildProcess, files: readonly MemoryFile[]): void {
  const pipe = stdio[3];
  if (!(pipe instanceof Writable)) return;
  pipe.on('error', () => {});
  pipe.end(Buffer.concat(files.map(({ content }) => content)));
}

function follow(child: ChildProcess, read: ReadEnds, request: Launch): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let stopped: Ending['stopped'];
    let failure: { readonly error: unknown } | undefined;
    let errorTail = Buffer.alloc(0);
    const stop = (reason: 'timeout' | 'abort'): void => {
      stopped ??= reason;
      killTree(child, request.runDirectory);
    };
    const fail = (error: unknown): void => {
      failure ??= { error };
      killTree(child, request.runDirectory);
    };
    const timer =
      request.timeoutMs === undefined ? undefined : setTimeout(() => stop('timeout'), Math.max(0, request.timeoutMs));
    const onAbort = (): void => stop('abort');
    request.signal?.addEventListener('abort', onAbort, { once: true });

    const exited = new Promise<Pick<Ending, 'code' | 'signal'>>((done) => {
      child.once('error', (error) => {
        fail(error);
        done({ code: 125 });
      });
      child.once('exit', (code, signal) =>
        done(signal === null ? { code: code ?? 125 } : { code: 128 + osConstants.signals[signal], signal }),
      );
    });
    const drained = (['stdout', 'stderr'] as const).map((stream) =>
      drain(
        read[stream],
        (chunk) => {
          if (stream === 'stderr') errorTail = Buffer.concat([errorTail, chunk]).subarray(-ERROR_TAIL);
          if (failure === undefined) request.onOutput(chunk, stream);
        },
        fail,
      ),
    );
    void Promise.all([exited, ...drained]).then(([outermost]) => {
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      const complaint = readIfThere(request.runDirectory, 'unshare.log');
      // Once it has started its child, unshare complains only when the child was killed. Newer ones die of the same signal instead.
      const killed = complaint !== '' && readIfThere(request.runDirectory, 'pid') !== '';
      const ending = killed ? ({ code: 137, signal: 'SIGKILL' } as const) : outermost;
      if (failure !== undefined) reject(failure.error);
      else resolve({ ...ending, ...(stopped === undefined ? {} : { stopped }), errorTail: `${complaint}${errorTail}` });
    });
  });
}

/**
 * Kills the first process of the pid namespace: the kernel then kills all others in it, and its parent, the process we wait for,
 * ends when that is done. As long as it has not told its pid there is nothing in the namespace, and killing the
 * parent is enough.
 */
function killTree(child: ChildProcess, runDirectory: string): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const first = readIfThere(runDirectory, 'pid');
  try {
    if (/^\d+\n$/.test(first)) process.kill(Number(first), 'SIGKILL');
    else child.kill('SIGKILL');
  } catch {
    // It ended by itself just now.
  }
}

function readIfThere(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch {
    return '';
  }
}

interface ReadEnds {
  readonly stdout: number;
  readonly stderr: number;
}

interface Pipes {
  readonly read: ReadEnds;
  readonly write: ReadEnds;
  closeWriters(): void;
  closeAll(): void;
}

/**
 * Named pipes for the output. Node's own "pipes" are sockets, and `echo … >/dev/stderr` fails on a socket. Anyone may write
 * (their directory is closed): a command that has become another user opens /dev/stderr anew.
 */
async function makePipes(directory: string): Promise<Pipes> {
  const paths = [join(directory, 'stdout'), join(directory, 'stderr')] as const;
  const mkfifo = requireProgram('mkfifo', 'RUN');
  const what = `the pipes of a RUN command in ${directory}`;
  try {
    await promisify(execFile)(mkfifo, ['-m', '0622', '--', ...paths], { env: { ...process.env, LC_ALL: 'C' } });
  } catch (error) {
    const said = errorSaid((error as { readonly stderr?: string }).stderr ?? '', `making ${what}`);
    throw said ?? new SlipwayError('E_MOUNT', `cannot make ${what}`, { cause: error });
  }
  // Read ends first and without waiting for a writer; then a write end opens at once.
  const [out, err] = paths.map((path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)) as [number, number];
  const [outWriter, errWriter] = paths.map((path) => openSync(path, constants.O_WRONLY)) as [number, number];
  const closeWriters = once(() => [outWriter, errWriter].forEach(closeSync));
  return {
    read: { stdout: out, stderr: err },
    write: { stdout: outWriter, stderr: errWriter },
    closeWriters,
    closeAll() {
      closeWriters();
      [out, err].forEach(closeSync);
    },
  };
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}

/** Reads a pipe to its end. */
function drain(descriptor: number, take: (chunk: Buffer) => void, fail: (error: unknown) => void): Promise<void> {
  return new Promise((resolve) => {
    const socket = new Socket({ fd: descriptor, readable: true, writable: false });
    socket.on('data', (chunk: Buffer) => {
      try {
        take(chunk);
      } catch (error) {
        fail(error);
      }
    });
    socket.once('error', fail);
    socket.once('close', () => resolve());
  });
}

/**
 * The stdio of the child. Descriptors that slipway itself got from whoever started it and that would be inherited are covered with
 * `shield`, an open file of the run: Node closes only those it opened itself.
 */
function descriptors(write: ReadEnds, shield: number): (number | 'ignore' | 'pipe')[] {
  const inherited = inheritable();
  const stdio = Array.from({ length: Math.max(3, ...inherited) + 1 }, (_, number): number | 'ignore' | 'pipe' =>
    inherited.includes(number) ? shield : 'ignore',
  );
  stdio.splice(0, 4, shield, write.stdout, write.stderr, 'pipe');
  return stdio;
}

function inheritable(): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((number) => number > 2 && !isClosedOnExec(number));
}

function isClosedOnExec(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))?.[1];
    return flags === undefined || (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0;
  } catch {
    // The descriptor of the listing itself: closed again.
    return true;
  }
}
