import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a command of slipway ended with. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program's launcher. */
export const LAUNCHER = fileURLToPath(new URL('../../bin/slipway', import.meta.url));

export interface CallOptions {
  readonly root: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly stdin?: string;
}

/** Runs the program as a person would, with a store of its own, and waits for its end. */
export function slipway(args: readonly string[], options: CallOptions): Promise<Ended> {
  return startSlipway(args, options).ended;
}

/** Starts the program; `kill` ends it with any signal. */
export function startSlipway(
  args: readonly string[],
  { root, env = {}, cwd, stdin }: CallOptions,
): {
  readonly ended: Promise<Ended>;
  readonly pid: number | undefined;
  kill(signal: NodeJS.Signals): void;
  output(): string;
} {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    cwd,
    env: { ...process.env, ...env, SLIPWAY_ROOT: root, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(stdin ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { ended, pid: child.pid, kill: (signal) => child.kill(signal), output: () => stdout + stderr };
}

/** {@link slipway}, for a command that must succeed: gives its standard output. */
export async function mustSlipway(args: readonly string[], options: CallOptions): Promise<string> {
  const { code, stdout, stderr } = await slipway(args, options);
  if (code !== 0) throw new Error(`slipway ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}
