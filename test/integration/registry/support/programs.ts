import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
  readonly cwd?: string;
}

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  { env, input, cwd }: RunOptions = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Runs a program that must succeed; gives its standard output. */
export async function must(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}:\n${stderr}\n${stdout}`);
  return stdout;
}

/** A program that goes on running. */
export interface Daemon {
  /** Resolves with the match of the first line of its output (both streams) that matches. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  /** What it has printed. */
  log(): string;
  stop(): Promise<void>;
}

/** Starts a program; it is ended, by its pid, with `stop`. */
export function start(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Daemon {
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let log = '';
  let ended = false;
  const watchers = new Set<() => void>();
  const note = (): void => {
    for (const watcher of watchers) watcher();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      log += chunk;
      note();
    });
  }
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => {
      ended = true;
      note();
      resolve();
    });
  });
  child.on('error', (error) => {
    log += String(error);
    ended = true;
    note();
  });
  return {
    log: () => log,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(log);
          if (match === null && !ended) return;
          watchers.delete(look);
          if (match === null) reject(new Error(`${program} ended without printing ${pattern}:\n${log}`));
          else resolve(match);
        };
        watchers.add(look);
        look();
      }),
    async stop() {
      if (ended) return;
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 5000);
      await closed;
      clearTimeout(hard);
    },
  };
}

/** A new directory under the system's temporary one, and its removal. */
export async function tempDir(label: string): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `slipway-${label}-`));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }) };
}
